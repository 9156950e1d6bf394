/* An edge list. */
#include "fuzz/fuzz_fixture.h"
#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct graph_params params = {.name = "file", .file = fuzz_file(data, size), .rate = 1};
    struct graph *graph = NULL;
    if (graph_create(&params, &graph) == STATUS_OK)
        graph_destroy(graph);
    return 0;
}
