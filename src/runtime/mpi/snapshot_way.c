/* The way of snapshots from worker to worker: from GPU to GPU where that works, else in the slots of a transport. */
#include "runtime/mpi/snapshot_way.h"

#include <string.h>

#include "base/log.h"
#include "base/stopwatch.h"
#include "runtime/mpi/closing_barrier.h"
#include "runtime/mpi/injected_transport.h"

/* The one way from GPU to GPU that "auto" tries. An MPI library that is wrong about GPU memory crashes on it: that way
 * is taken where it is asked for. */
static const char first_choice[] = "ipc";

static const double leave_limit_s = 10;

/* Where deaths are survived each message must leave in one piece (over TCP those below 64 KiB do): Open MPI 5 turns in
 * a circle for ever, within whatever call comes next, when the sender of one that it takes piece by piece dies. */
static const size_t survivor_chunk_bytes = 32768;

/* Leaves way->direct NULL where snapshots are to take another way, and says why. */
static enum status open_direct(const struct snapshot_way_params *p, struct snapshot_way *way, const char **reason)
{
    bool named = direct_slots_way(p->run->transport);
    struct direct_slots_params params = {
        .job = p->job,
        .graph = p->run->graph,
        .worker = p->job->rank,
        .ops = worker_device_ops(p->worker),
        .device = worker_device(p->worker),
        .slots = p->run->records,
        .count = worker_parameter_size(p->worker),
        .required = named,
    };
    *reason = "as communication.transport asks";
    if (scenario_damages(p->run->scenario)) {
        *reason = "where inject.* damages them";
        return STATUS_OK;
    }
    if (p->job->survives) {
        *reason = "where deaths are survived";
        return STATUS_OK;
    }
    if (!named && strcmp(p->run->transport, "auto") != 0)
        return STATUS_OK;
    return direct_slots_open(named ? p->run->transport : first_choice, &params, &way->direct, reason);
}

/* Where deaths are survived there is one way alone. The same on every rank. */
static enum status choose_transport(const struct snapshot_way_params *p, const char **name)
{
    static const char survivor[] = "sendrecv";
    *name = p->run->transport;
    if (!p->job->survives)
        return STATUS_OK;
    if (strcmp(*name, "auto") != 0 && strcmp(*name, survivor) != 0) {
        p->job->agreed = true;
        log_error(
            "communication.transport=%s does not survive the death of a rank, and mpirun --with-ft asks for that: "
            "leave out one of the two",
            *name);
        return STATUS_USAGE;
    }
    *name = survivor;
    log_info("this MPI goes on without ranks that die (--with-ft): transport %s", survivor);
    return STATUS_OK;
}

enum status snapshot_way_open(const struct snapshot_way_params *p, struct snapshot_way *way)
{
    size_t count = worker_parameter_size(p->worker);
    const char *reason = NULL;
    bool damages = scenario_damages(p->run->scenario);
    const char *name;
    TRY(choose_transport(p, &name));
    size_t chunk_bytes = p->run->chunk_bytes;
    if (p->job->survives && chunk_bytes > survivor_chunk_bytes)
        chunk_bytes = survivor_chunk_bytes;
    way->shape = payload_shape(count, chunk_bytes);
    way->payload_bytes = way->shape.slot_bytes;
    TRY(open_direct(p, way, &reason));
    if (way->direct != NULL)
        way->shape = payload_shape_elsewhere(count);
    struct transport_params params = {
        .job = p->job,
        .graph = p->reach,
        .worker = p->job->rank,
        .slots = p->run->records + damages, /* what is put late is counted under a record of its own */
        .slot_bytes = way->shape.slot_bytes,
        .puts_per_slot = 2 * way->shape.chunk_count + 1, /* and an answer */
    };
    TRY(transport_open(way->direct != NULL ? "auto" : name, &params, &way->ops, &way->transport));
    if (way->direct != NULL)
        log_info("transport %s: snapshots travel %s", direct_slots_name(way->direct), direct_slots_travel(way->direct));
    else if (!worker_device_ops(p->worker)->host_memory)
        log_info("transport %s: snapshots travel through host memory, %s", way->ops->name, reason);
    struct injected_transport_params injected = {
        .scenario = p->run->scenario, .seed = p->run->seed, .shape = way->shape, .transport = &params};
    if (damages)
        injected_transport_wrap(&injected, &way->ops, &way->transport);
    way->damages = damages;
    way->job = p->job;
    return STATUS_OK;
}

/* Two-sided puts leave only while the other polls: all poll until everybody's have left. */
static void leave_together(struct snapshot_way *way)
{
    struct closing_barrier barrier = {0};
    double begin_s = stopwatch_now();
    while (!closing_barrier_passed(&barrier)) {
        if (way->ops->poll(way->transport) != STATUS_OK || stopwatch_now() - begin_s > leave_limit_s) {
            log_on_this_rank(LOG_WARNING, "messages that were put late (inject.*) have not left by the end");
            return;
        }
        if (injected_transport_leave(way->transport) && closing_barrier_enter(&barrier, way->job) != STATUS_OK)
            return;
    }
}

void snapshot_way_close(struct snapshot_way *way)
{
    if (way->damages && way->transport != NULL)
        leave_together(way);
    direct_slots_close(way->direct);
    if (way->transport != NULL)
        way->ops->destroy(way->transport);
    *way = (struct snapshot_way){0};
}

const char *snapshot_way_name(const struct snapshot_way *way)
{
    return way->direct != NULL ? direct_slots_name(way->direct) : way->ops->name;
}
