/* Choosing a transport: by name, or by a probe that shows what this MPI really does. */
#include "runtime/mpi/transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "runtime/mpi/progress.h"

static const double first_probe_limit_s = 1.5, probe_limit_s = 10;

static bool all_arrived(const struct transport_ops *ops, struct transport *transport, const struct graph *graph,
                        int worker)
{
    for (int j = 0; j < graph_degree(graph, worker); j++) {
        int peer = graph_neighbors(graph, worker)[j].worker;
        if (ops->read_word(transport, j) == 0 || ops->read_counts(transport, j)[peer] == 0)
            return false;
    }
    return true;
}

/* Put a word (attempt 0, which the pairing protocol ignores) and this worker's count to every neighbor, and wait for
 * theirs, with nothing but polls: what the steady state relies on. */
static enum status probe(const struct transport_ops *ops, struct transport *transport,
                         const struct transport_params *params, double limit_s)
{
    const struct graph *graph = params->graph;
    uint64_t *counts = memory_zalloc((size_t)graph->worker_count, sizeof counts[0]);
    counts[params->worker] = progress_word(0, false);
    enum status status = STATUS_OK;
    for (int j = 0; j < graph_degree(graph, params->worker) && status == STATUS_OK; j++) {
        status = ops->put_word(transport, j, 1);
        if (!ops->put_counts(transport, j, counts))
            status = STATUS_MACHINE;
    }
    double begin_s = stopwatch_now();
    for (bool arrived = false; status == STATUS_OK && !arrived;) {
        status = ops->poll(transport); /* at least once: it may push what was put */
        arrived = all_arrived(ops, transport, graph, params->worker);
        if (!arrived && stopwatch_now() - begin_s > limit_s)
            status = STATUS_MACHINE;
        stopwatch_sleep(50e-6);
    }
    free(counts);
    return status;
}

/* Whether all ranks are well. Not so is no error yet: another transport may do. A step that not all ranks reach is. */
static enum status all_well(const struct job *job, const char *step, enum status status, bool *well)
{
    double bad = status != STATUS_OK;
    TRY(job_sum_doubles(job, step, &bad, 1));
    *well = bad == 0;
    return STATUS_OK;
}

static enum status probe_together(const struct transport_ops *ops, struct transport *transport,
                                  const struct transport_params *params, double limit_s, bool *works)
{
    log_hold(true); /* the one message is transport_open's */
    enum status status = probe(ops, transport, params, limit_s);
    log_hold(false);
    return all_well(params->job, "probe transport", status, works);
}

static enum status open_one(const struct transport_ops *ops, const struct transport_params *params, bool *works,
                            struct transport **out)
{
    log_hold(true);
    enum status status = ops->create(params, out);
    log_hold(false);
    TRY(all_well(params->job, "open transport", status, works));
    if (!*works)
        return STATUS_OK;
    bool can_push = ops->push_small_puts != NULL;
    TRY(probe_together(ops, *out, params, can_push ? first_probe_limit_s : probe_limit_s, works));
    if (*works || !can_push)
        return STATUS_OK;
    log_debug("small puts do not arrive by themselves here: a larger one is sent after them");
    ops->push_small_puts(*out);
    return probe_together(ops, *out, params, probe_limit_s, works);
}

enum status transport_open(const char *name, const struct transport_params *params, const struct transport_ops **ops,
                           struct transport **out)
{
    bool automatic = strcmp(name, "auto") == 0, works = false;
    if (automatic || strcmp(name, "put") == 0) {
        *ops = &transport_put;
        TRY(open_one(*ops, params, &works, out));
        if (works)
            return STATUS_OK;
        /* A window that failed on some rank cannot be freed: freeing is collective. It stays until MPI ends. */
        if (!automatic) {
            params->job->agreed = true;
            log_error("one-sided puts do not work with this MPI and its settings; on Open MPI 4 try "
                      "--mca osc sm,pt2pt (one node or TCP) or --mca pml ucx --mca osc ucx (InfiniBand), or set "
                      "communication.transport=sendrecv");
            return STATUS_MACHINE;
        }
        log_warning("one-sided puts do not work with this MPI and its settings: exchanging by two-sided messages "
                    "(communication.transport: sendrecv); `grapevine doctor` tells more");
    }
    *ops = &transport_sendrecv;
    TRY(open_one(*ops, params, &works, out));
    if (works)
        return STATUS_OK;
    params->job->agreed = true;
    log_error("messages between the ranks do not arrive within %.0f s; on Open MPI try --mca pml ob1, and name the "
              "network with --mca btl_tcp_if_include; `grapevine doctor` tells which pairs are silent",
              probe_limit_s);
    return STATUS_MACHINE;
}
