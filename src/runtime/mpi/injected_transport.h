/* A transport on which snapshots are damaged as a scenario has it: a layer around another one, behind the same table.
 *
 * Some payloads come twice, the second time up to INJECTED_LATE_S later, often when the slot serves another meeting; of
 * some a piece comes so much later, the end of a chunk, all of it, or its tag; some have a few bytes of a chunk or a
 * tag changed. Each fate is drawn for itself, from the stream of (seed, worker, peer), in the order of the payloads
 * that are put, those put again among them. Answers, words and counts pass as they are.
 *
 * What comes late is put from copies, counted under a record of its own that the transport around which this one lies
 * must have: the last one. Only so many are on their way at a time: where more would be, the payload passes unhurt.
 *
 * All calls from one thread, as for every transport. */
#ifndef GRAPEVINE_RUNTIME_MPI_INJECTED_TRANSPORT_H
#define GRAPEVINE_RUNTIME_MPI_INJECTED_TRANSPORT_H

#include "runtime/mpi/payload.h"
#include "runtime/mpi/transport.h"
#include "runtime/scenario.h"

#define INJECTED_LATE_S 0.3

struct injected_transport_params {
    const struct scenario *scenario; /* borrowed for the call */
    uint64_t seed;
    struct payload_shape shape;               /* of the slots */
    const struct transport_params *transport; /* borrowed for the call: those of the transport around which it lies */
};

/* Put the layer around *transport, which it owns from now on; *ops and *transport become its own. */
void injected_transport_wrap(const struct injected_transport_params *params, const struct transport_ops **ops,
                             struct transport **transport);

/* To be called again and again before the layer is destroyed, while it and its peers are polled, until it is true: what
 * has not been put late by now will not be, and what has, has left. */
bool injected_transport_leave(struct transport *transport);

#endif
