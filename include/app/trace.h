/* A trace: what both threads of every worker did when, in the Chrome trace-event format (Perfetto, chrome://tracing).
 *
 * pid is the worker, tid its thread, ts and dur are microseconds since the run began. Spans are kept in memory that
 * is set aside before the run, a fixed number per thread; later ones are dropped, counted, and said so at the end. */
#ifndef GRAPEVINE_APP_TRACE_H
#define GRAPEVINE_APP_TRACE_H

#include <stddef.h>

#include "base/status.h"
#include "runtime/observer.h"

enum { TRACE_SPANS_PER_LANE = 1 << 20 }; /* 24 bytes each, touched only when used */

struct trace;

struct trace *trace_create(int worker, size_t spans_per_lane);

/* Each lane has one thread that adds to it; no two threads share a lane. */
void trace_add(struct trace *trace, enum span_lane lane, enum span_kind kind, double begin_s, double end_s, int peer);

/* Write this worker's part, trace-<worker>.part, and release the trace. STATUS_MACHINE (a logged warning, but where
 * directory is NULL): it is missing. */
enum status trace_close(struct trace *trace, const char *directory);

/* By rank 0: the parts of `size` workers into trace.json; the parts are removed. STATUS_MACHINE (a logged warning):
 * they stay. */
enum status trace_merge(const char *directory, int size);

#endif
