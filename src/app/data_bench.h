/* What making pictures costs on this machine. Private to app/. */
#ifndef GRAPEVINE_SRC_APP_DATA_BENCH_H
#define GRAPEVINE_SRC_APP_DATA_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "app/plan.h"
#include "base/status.h"

struct data_bench_params {
    const struct plan *plan; /* with training data; borrowed */
    double seconds;          /* of each measurement, about */
    double rate;             /* pictures per second that a GPU takes; 0: as fast as they come */
};

/* Medians over rounds in which all take turns, by one thread, over the same pictures. CPU time is what counts, so that
 * others on the machine matter little; the bytes are in the page cache by then. */
struct data_bench_parts {
    bool known;               /* the set's pictures are made in parts */
    double read, decode, all; /* pictures per second of a core: read, read and decoded, made */
    double whole;             /* read and decoded as a whole at full size, nothing else */
    double read_bytes;        /* per second of a core */
    double resize_bytes;      /* per second: pixels read and numbers written by what comes after decoding */
    double resize_over_copy;  /* that, over what memcpy moves (read and written) of batches as large, per second */
};

/* The loader with its threads, and somebody who takes batches. */
struct data_bench_loader {
    int threads;
    double pictures_per_second, waiting; /* share of the time that the taker waited */
    double busy;                         /* share of the threads' time that was CPU time */
    double peak_bytes;                   /* of memory, of this process until then */
};

enum status data_bench_parts(const struct data_bench_params *params, struct data_bench_parts *out);
enum status data_bench_loader(const struct data_bench_params *params, struct data_bench_loader *out);
/* Read an epoch's pictures from where they lie, in the order and the portions of training. Bytes and seconds. */
enum status data_bench_read(const struct data_bench_params *params, double *bytes, double *seconds);

#endif
