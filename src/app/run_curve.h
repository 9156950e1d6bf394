/* A run's learning curve: the tests of its replicas in mid-run, read from metrics.jsonl. */
#ifndef GRAPEVINE_SRC_APP_RUN_CURVE_H
#define GRAPEVINE_SRC_APP_RUN_CURVE_H

#include <stddef.h>

#include "base/status.h"

/* The k-th tests of all replicas, as one: means, weighted by the images of each. */
struct curve_point {
    double epoch, accuracy, loss;
};

struct run_curve {
    struct curve_point *points; /* owned, in the order of the run */
    size_t count;
};

/* Tests that not every replica has made are left out; a last line that is cut off is, too. STATUS_DATA (logged): there
 * is no metrics.jsonl. Release in either case. */
enum status run_curve_read(const char *run, struct run_curve *out);
void run_curve_release(struct run_curve *curve);

/* The point nearest to this epoch, at most `distance` away; NULL if there is none. */
const struct curve_point *run_curve_at(const struct run_curve *curve, double epoch, double distance);

#endif
