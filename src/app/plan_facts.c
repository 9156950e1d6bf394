/* Data, graph, model and constants of a plan as facts. */
#include "app/plan_facts.h"

#include <inttypes.h>
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

void plan_facts(const struct plan *plan, struct text *facts)
{
    const struct net_spec *spec = plan->spec;
    agreement_add(facts, "the training data", "%s", text_view(&plan->train_data));
    agreement_add(facts, "the test data", "%s", text_view(&plan->test_data));
    agreement_add(facts, "the graph", "%s", plan->graph != NULL ? text_view(&plan->edges) : "everyone");
    agreement_add(facts, "the model", "%s of %zu parameters, digest %016" PRIx64, spec->name, spec->parameter_size,
                  digest_tensors(spec->parameters, spec->parameter_count));
    agreement_add(facts, "the number of gradients", "%" PRIu64, plan->gradient_total);
}

void plan_constants(const struct plan *plan, struct text *facts)
{
    agreement_add(facts, "eta", "%.4g", plan->constants.eta);
    agreement_add(facts, "alpha", "%.4g", plan->constants.alpha);
    agreement_add(facts, "alpha_tilde", "%.4g", plan->constants.alpha_tilde);
}
