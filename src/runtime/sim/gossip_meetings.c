/* Batches of Poisson meetings over the edges of a graph. */
#include "runtime/sim/gossip_meetings.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

static bool rates_agree(const struct graph *graph)
{
    for (int e = 1; e < graph->edge_count; e++)
        if (graph->edges[e].rate != graph->edges[0].rate)
            return false;
    return true;
}

/* Columns of less than the mean rate are filled up from one of more, which then may have become one of less. `order`
 * has the poor columns and from `rich` on the rich ones. */
static struct meeting_column *fill_columns(const struct graph *graph, double total_rate)
{
    size_t count = (size_t)graph->edge_count, poor = 0, rich = count;
    struct meeting_column *columns = memory_zalloc(count, sizeof *columns);
    uint32_t *order = memory_zalloc(count, sizeof *order);
    for (size_t e = 0; e < count; e++) {
        columns[e] =
            (struct meeting_column){.keep = graph->edges[e].rate / total_rate * (double)count, .alias = (uint32_t)e};
        order[columns[e].keep < 1 ? poor++ : --rich] = (uint32_t)e;
    }
    for (size_t k = 0; k < rich && rich < count; k++) {
        struct meeting_column *giver = &columns[order[rich]];
        columns[order[k]].alias = order[rich];
        giver->keep -= 1 - columns[order[k]].keep;
        if (giver->keep < 1)
            rich++;
    }
    free(order);
    return columns;
}

void meeting_source_init(struct meeting_source *source, const struct graph *graph, uint64_t seed, uint32_t repetition)
{
    *source = (struct meeting_source){.graph = graph, .seed = seed, .repetition = repetition};
    source->pairs = memory_alloc_aligned((size_t)graph->edge_count * sizeof *source->pairs);
    for (int e = 0; e < graph->edge_count; e++) {
        source->pairs[e] = (struct meeting_pair){.a = graph->edges[e].a, .b = graph->edges[e].b};
        source->total_rate += graph->edges[e].rate;
    }
    if (!rates_agree(graph))
        source->columns = fill_columns(graph, source->total_rate);
}

void meeting_source_release(struct meeting_source *source)
{
    memory_free_aligned(source->pairs);
    free(source->columns);
    source->pairs = NULL;
    source->columns = NULL;
}

static uint32_t draw_edge(const struct meeting_source *source, struct random_stream *stream)
{
    uint32_t edge = random_below(stream, (uint32_t)source->graph->edge_count);
    if (source->columns == NULL)
        return edge;
    const struct meeting_column *column = &source->columns[edge];
    return random_uniform(stream) < column->keep ? edge : column->alias;
}

void meeting_source_draw(struct meeting_source *source)
{
    assert(source->total_rate > 0);
    struct random_stream stream =
        random_stream(source->seed, RANDOM_GOSSIP, source->repetition, ++source->batch_number);
    for (int k = 0; k < MEETING_BATCH; k++) {
        source->time += random_exponential(&stream) / source->total_rate;
        source->meetings[k].time = source->time;
        source->edges[k] = draw_edge(source, &stream);
        __builtin_prefetch(&source->pairs[source->edges[k]]);
    }
    for (int k = 0; k < MEETING_BATCH; k++) {
        source->meetings[k].a = source->pairs[source->edges[k]].a;
        source->meetings[k].b = source->pairs[source->edges[k]].b;
    }
}
