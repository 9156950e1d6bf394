/* Data, graph, model and constants of a plan as facts. */
#include "app/plan_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/agreement.h"
#include "app/class_names.h"
#include "base/digest.h"
#include "data/fingerprint.h"

void plan_describe_edges(struct plan *plan)
{
    const struct graph *graph = plan->graph;
    uint64_t digest = 0;
    for (int e = 0; e < graph->edge_count; e++) {
        const struct graph_edge *edge = &graph->edges[e];
        digest = digest_bytes(digest, &edge->a, sizeof edge->a);
        digest = digest_bytes(digest, &edge->b, sizeof edge->b);
        digest = digest_bytes(digest, &edge->rate, sizeof edge->rate);
    }
    text_add(&plan->edges, "%d edges, digest %016" PRIx64, graph->edge_count, digest);
}

void plan_describe_data(struct plan *plan)
{
    const struct class_names classes = {.names = plan->train->class_names, .count = plan->train->class_count};
    class_names_write(&classes, &plan->class_names);
    fingerprint_add(plan->train, &plan->train_data);
    fingerprint_add(plan->test, &plan->test_data);
}

static uint64_t digest_tensors(const struct net_tensor *tensors, int count)
{
    uint64_t digest = 0;
    for (int i = 0; i < count; i++) {
        digest = digest_bytes(digest, tensors[i].name, strlen(tensors[i].name));
        digest = digest_bytes(digest, tensors[i].shape, (size_t)tensors[i].rank * sizeof tensors[i].shape[0]);
    }
    return digest;
}

/* Of the bytes of a file; what could be read counts. */
static uint64_t digest_file(const char *path)
{
    char piece[1 << 16];
    uint64_t digest = 0;
    FILE *file = fopen(path, "re");
    for (size_t got; file != NULL && (got = fread(piece, 1, sizeof piece, file)) > 0;)
        digest = digest_bytes(digest, piece, got);
    if (file != NULL)
        fclose(file);
    return digest;
}

static void add_start(const struct plan *plan, struct text *facts)
{
    const char *path = plan->config->model.init;
    if (*path == '\0')
        agreement_add(facts, "the model to start from", "drawn (model.init is empty)");
    else
        agreement_add(facts, "the model to start from", "a file of digest %016" PRIx64, digest_file(path));
}

void plan_facts(const struct plan *plan, struct text *facts)
{
    const struct net_spec *spec = plan->spec;
    agreement_add(facts, "the training data", "%s", text_view(&plan->train_data));
    agreement_add(facts, "the test data", "%s", text_view(&plan->test_data));
    agreement_add(facts, "the graph", "%s", plan->graph != NULL ? text_view(&plan->edges) : "everyone");
    agreement_add(facts, "the model", "%s of %zu parameters, digest %016" PRIx64, spec->name, spec->parameter_size,
                  digest_tensors(spec->parameters, spec->parameter_count));
    add_start(plan, facts);
    agreement_add(facts, "the number of gradients", "%" PRIu64, plan->gradient_total);
}

void plan_constants(const struct plan *plan, struct text *facts)
{
    agreement_add(facts, "eta", "%.4g", plan->constants.eta);
    agreement_add(facts, "alpha", "%.4g", plan->constants.alpha);
    agreement_add(facts, "alpha_tilde", "%.4g", plan->constants.alpha_tilde);
}
