/* A plan for a reader. */
#include <string.h>

#include "app/class_counts.h"
#include "app/plan.h"
#include "base/quantity.h"

static void print_graph(const struct plan *plan, FILE *out)
{
    fprintf(out, "graph            %s, %d workers, %d edges, rate %g per gradient and worker\n", plan->graph->name,
            plan->graph->worker_count, plan->graph->edge_count, plan_rate_wanted(plan));
    if (plan->graph->rates_given)
        fprintf(out, "                 rates of the edge list, times communication.rate (%g)\n",
                plan->config->communication.rate);
    if (strcmp(plan->config->graph.rates, "best") == 0)
        fprintf(out, "                 rates best, budget %s\n", plan->config->graph.budget);
    fprintf(out, "                 chi1 %.4g, chi2 %.4g\n", plan->spectrum.chi1, plan->spectrum.chi2);
    fprintf(out, "constants        eta %.4g, alpha %.4g, alpha_tilde %.4g\n", plan->constants.eta,
            plan->constants.alpha, plan->constants.alpha_tilde);
    fprintf(out, "edges           ");
    enum { SHOWN = 16 };
    for (int e = 0; e < plan->graph->edge_count && e < SHOWN; e++)
        fprintf(out, " %d-%d (%.3g)", plan->graph->edges[e].a, plan->graph->edges[e].b, plan->graph->edges[e].rate);
    if (plan->graph->edge_count > SHOWN)
        fprintf(out, " and %d more", plan->graph->edge_count - SHOWN);
    fprintf(out, "\n");
}

static void print_schedule(const struct plan *plan, FILE *out)
{
    const struct schedule *schedule = &plan->schedule;
    fprintf(out, "learning rate    %s: from %.4g to %.4g over the first %.3g %%", plan->config->schedule.name,
            schedule->start, schedule->peak, 100 * schedule->warmup);
    for (int k = 0; k < schedule->params.milestone_count && schedule->kind == SCHEDULE_STEP; k++)
        fprintf(out, ", %.4g at %.3g %%", schedule_rate(schedule, schedule->params.milestones[k]),
                100 * schedule->params.milestones[k]);
    fprintf(out, "\n");
}

static void print_injected(const struct config *config, FILE *out)
{
    const struct {
        const char *name, *text;
    } parts[] = {{"slow", config->inject.slow},
                 {"pause", config->inject.pause},
                 {"death", config->inject.death},
                 {"nan", config->inject.nan},
                 {"links", config->inject.links}};
    const char *between = "";
    fprintf(out, "injected         ");
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        if (parts[k].text[0] == '\0')
            continue;
        fprintf(out, "%s%s: %s", between, parts[k].name, parts[k].text);
        between = "; ";
    }
    const struct {
        const char *name;
        double share;
    } shares[] = {{"loss", config->inject.loss},
                  {"duplicate", config->inject.duplicate},
                  {"torn", config->inject.torn},
                  {"corrupt", config->inject.corrupt}};
    for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++) {
        if (shares[k].share == 0)
            continue;
        fprintf(out, "%s%s: %g", between, shares[k].name, shares[k].share);
        between = "; ";
    }
    fprintf(out, "\n");
}

static void print_classes(const struct plan *plan, FILE *out)
{
    struct class_counts counts;
    if (class_counts_create(plan, &counts) != STATUS_OK) /* it has been said, by the plan itself */
        return;
    class_counts_print(&counts, plan->train->class_names, out);
    class_counts_release(&counts);
}

void plan_print(const struct plan *plan, FILE *out)
{
    char bytes[32];
    size_t x_bytes = plan->spec->parameter_size * sizeof(float);
    fprintf(out, "data             %s: %zu pictures to train, %zu held out, %zu to test, %d classes, partition %s\n",
            plan->config->data.name, plan->train->count - plan->held_out.count, plan->held_out.count, plan->test->count,
            plan->test->class_count, plan->config->data.partition);
    if (plan->test->note != NULL)
        fprintf(out, "test images      %s\n", plan->test->note);
    print_classes(plan, out);
    fprintf(out, "model            %s, %zu parameters (%s)\n", plan->spec->name, plan->spec->parameter_size,
            quantity_bytes(bytes, (double)x_bytes));
    fprintf(out, "algorithm        %s on %d worker%s\n", plan->algo->name, plan->place.worker_count,
            plan->place.worker_count == 1 ? "" : "s");
    if (plan->graph != NULL)
        print_graph(plan, out);
    fprintf(out, "steps            %llu gradients of %lld pictures by all workers (%g epochs), about %llu each\n",
            (unsigned long long)plan->gradient_total, (long long)plan->config->train.batch, plan->config->train.epochs,
            (unsigned long long)plan->gradient_total / (unsigned long long)plan->place.worker_count);
    print_schedule(plan, out);
    fprintf(out, "device           %s, %lld thread(s)%s\n", plan->ops->name, (long long)plan->config->device.threads,
            plan->place.simulated ? "" : " a worker");
    if (plan_injects(plan->config))
        print_injected(plan->config, out);
}
