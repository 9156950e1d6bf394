/* Names of a worker's vectors, as event logs and replays have them. */
#include "app/replica_digest.h"

const char *replica_vector_name(enum replica_vector vector)
{
    static const char *const names[REPLICA_VECTORS] = {[REPLICA_X] = "x",
                                                       [REPLICA_X_TILDE] = "x_tilde",
                                                       [REPLICA_MOMENTUM] = "momentum",
                                                       [REPLICA_BUFFERS] = "buffers"};
    return names[vector];
}
