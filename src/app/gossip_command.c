/* grapevine gossip GRAPH -n N: how fast a graph's workers agree when they only average, measured beside the theory. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/graph_options.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "graph/graph.h"
#include "graph/spectrum.h"
#include "runtime/gossip.h"

/* Longer edge lists stay out of the JSON. */
enum { EDGES_SHOWN = 100000 };

/* Units of time where --time is not given: so many e-folds of what theory expects, or meetings per worker where there
 * is no theory, as long as all repetitions together have no more than so many meetings. */
static const double acid_time = 40, plain_time = 10, untold_time = 60, meetings_most = 1e8;

static const char *const algorithms[] = {"acid", "gossip", NULL};

struct request {
    struct graph_options options;
    const char *algorithm;               /* of `algorithms` */
    double eta, alpha, alpha_tilde;      /* NAN: not given */
    double dimension, time, repetitions; /* time NAN: not given */
    bool no_theory;
};

struct findings {
    const struct request *request;
    const struct graph *graph;
    struct spectrum spectrum; /* NAN without theory */
    struct acid_constants constants;
    double time, total_rate;
    struct gossip_decay decay;
    double wall_s;
};

static struct request default_request(void)
{
    return (struct request){.algorithm = algorithms[0],
                            .eta = NAN,
                            .alpha = NAN,
                            .alpha_tilde = NAN,
                            .dimension = 8,
                            .time = NAN,
                            .repetitions = 4};
}

static void list_options(struct option_list *list, struct graph_values *values, struct request *request)
{
    const struct option_rule own[] = {
        {.name = "--algorithm",
         .value = "A",
         .kind = OPTION_WORD,
         .words = algorithms,
         .word = &request->algorithm,
         .meaning = "default acid"},
        {.name = "--dim",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = GOSSIP_DIMENSION_MAX,
         .number = &request->dimension,
         .meaning = "numbers that each worker has, default 8"},
        {.name = "--time",
         .value = "T",
         .kind = OPTION_NUMBER,
         .least = 1e-6,
         .most = 1e12,
         .number = &request->time,
         .meaning = "units of time, one being the duration of a gradient; default: as long as theory wants"},
        {.name = "--seeds",
         .kind = OPTION_WHOLE,
         .least = 1,
         .most = GOSSIP_REPETITIONS_MAX,
         .number = &request->repetitions,
         .meaning = "repetitions, default 4"},
        {.name = "--eta",
         .value = "X",
         .kind = OPTION_NUMBER,
         .least = 0,
         .most = 1e6,
         .number = &request->eta,
         .meaning = "of acid, instead of theory's"},
        {.name = "--alpha",
         .value = "X",
         .kind = OPTION_NUMBER,
         .least = 0,
         .most = 1,
         .number = &request->alpha,
         .meaning = "default 1/2"},
        {.name = "--alpha-tilde",
         .value = "X",
         .kind = OPTION_NUMBER,
         .least = 0,
         .most = 1e6,
         .number = &request->alpha_tilde,
         .meaning = "of acid, instead of theory's"},
        {.name = "--no-theory",
         .kind = OPTION_FLAG,
         .flag = &request->no_theory,
         .meaning = "no eigenvalues, which take long on large graphs"},
    };
    *list = (struct option_list){.command = "gossip"};
    graph_options_list(list, values);
    option_list_add(list, own, sizeof own / sizeof own[0]);
}

void command_gossip_help(FILE *out)
{
    static const struct option_manual manual = {
        .usage = "grapevine gossip GRAPH -n N [options]\n",
        .about =
            "How fast the workers of a graph agree when they only average, simulated, beside what theory says. GRAPH\n"
            "is a family (`grapevine config graph.name`) or, with a dot or a slash in its name, the file of an\n"
            "edge list.\n",
        .examples = "    grapevine gossip ring -n 64\n"
                    "    grapevine gossip torus -n 1000000 --algorithm gossip --no-theory --time 10\n",
    };
    struct graph_values values = GRAPH_VALUES;
    struct request request = default_request();
    struct option_list list;
    list_options(&list, &values, &request);
    option_list_describe(&list, &manual, out);
}

static enum status parse(int count, char **arguments, struct request *out)
{
    struct graph_values values = GRAPH_VALUES;
    struct request request = default_request();
    struct option_list list;
    list_options(&list, &values, &request);
    TRY(graph_options_parse(&list, &values, count, arguments, &request.options));
    bool acid = strcmp(request.algorithm, "acid") == 0;
    if (acid && request.no_theory && (isnan(request.eta) || isnan(request.alpha_tilde))) {
        log_error(
            "gossip: acid takes eta and alpha_tilde from the theory, which --no-theory leaves out: give --eta and "
            "--alpha-tilde, or --algorithm gossip");
        return STATUS_USAGE;
    }
    if (!acid && (!isnan(request.eta) || !isnan(request.alpha_tilde))) {
        log_error("gossip: --eta and --alpha-tilde belong to --algorithm acid; gossip has no momentum");
        return STATUS_USAGE;
    }
    *out = request;
    return STATUS_OK;
}

static bool is_acid(const struct findings *found)
{
    return strcmp(found->request->algorithm, "acid") == 0;
}

/* What was given, else what theory says. */
static struct acid_constants choose_constants(const struct findings *found)
{
    const struct request *request = found->request;
    struct acid_constants constants = {.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    if (is_acid(found) && !request->no_theory)
        constants = acid_constants_from(&found->spectrum);
    if (!isnan(request->eta))
        constants.eta = request->eta;
    if (!isnan(request->alpha))
        constants.alpha = request->alpha;
    if (!isnan(request->alpha_tilde))
        constants.alpha_tilde = request->alpha_tilde;
    return constants;
}

/* 1/χ1 or 1/√(χ1χ2): the decay lies between half of it and the whole. NAN without theory. */
static double theory_rate(const struct findings *found)
{
    const struct spectrum *spectrum = &found->spectrum;
    return 1 / (is_acid(found) ? sqrt(spectrum->chi1 * spectrum->chi2) : spectrum->chi1);
}

static double choose_time(const struct findings *found)
{
    double given = found->request->time, unit = 1 / theory_rate(found), time;
    if (!isnan(given))
        return given;
    if (found->total_rate == 0)
        return untold_time;
    if (isfinite(unit) && unit > 0)
        time = unit * (is_acid(found) ? acid_time : plain_time);
    else
        time = untold_time * found->graph->worker_count / (2 * found->total_rate);
    double most = meetings_most / (found->total_rate * found->request->repetitions);
    if (time > most && isfinite(unit))
        log_warning("gossip: %.4g units of time would show the decay well; %.4g are simulated: give --time for more",
                    time, most);
    return fmin(time, most);
}

static enum status measure(struct findings *found)
{
    const struct request *request = found->request;
    found->spectrum = (struct spectrum){.chi1 = NAN, .chi2 = NAN};
    if (!request->no_theory)
        TRY(spectrum_compute(found->graph, &found->spectrum));
    for (int e = 0; e < found->graph->edge_count; e++)
        found->total_rate += found->graph->edges[e].rate;
    found->constants = choose_constants(found);
    found->time = choose_time(found);
    struct gossip_decay_params params = {
        .gossip = {.momentum = is_acid(found),
                   .eta = found->constants.eta,
                   .alpha = found->constants.alpha,
                   .alpha_tilde = found->constants.alpha_tilde,
                   .dimension = (size_t)request->dimension,
                   .seed = request->options.params.seed},
        .time = found->time,
        .repetitions = (int)request->repetitions,
    };
    double start = stopwatch_now();
    TRY(gossip_measure_decay(found->graph, &params, &found->decay));
    found->wall_s = stopwatch_now() - start;
    return STATUS_OK;
}

/* Nothing that a clock measured is in it: the same arguments give the same bytes. */
static void print_json(const struct findings *found)
{
    const struct request *request = found->request;
    cJSON *object = graph_record_json(&(struct graph_record){.graph = found->graph,
                                                             .rate = request->options.params.rate,
                                                             .spectrum = &found->spectrum,
                                                             .constants = found->constants,
                                                             .edges_shown = EDGES_SHOWN});
    cJSON_AddNumberToObject(object, "edge_count", found->graph->edge_count);
    cJSON_AddStringToObject(object, "algorithm", request->algorithm);
    cJSON_AddNumberToObject(object, "dim", request->dimension);
    cJSON_AddNumberToObject(object, "time", found->time);
    cJSON_AddNumberToObject(object, "seeds", request->repetitions);
    cJSON_AddNumberToObject(object, "seed", (double)request->options.params.seed);
    graph_json_number(object, "decay_rate", found->decay.rate);
    graph_json_number(object, "decay_rate_spread", found->decay.spread);
    cJSON_AddNumberToObject(object, "fit_from", found->decay.fit_from);
    cJSON_AddNumberToObject(object, "fit_to", found->decay.fit_to);
    graph_json_number(object, "theory_rate", theory_rate(found));
    graph_json_number(object, "theory_rate_least", theory_rate(found) / 2);
    cJSON_AddNumberToObject(object, "events", (double)found->decay.meetings);
    graph_json_print(object);
}

static void print_decay(const struct findings *found)
{
    const struct gossip_decay *decay = &found->decay;
    if (isnan(decay->rate))
        printf("decay_rate   not known: ||x - mean||^2 is 0, or falls below 1e-24 of its start within %.4g units of "
               "time, too few samples\n",
               decay->fit_to);
    else if (isnan(decay->spread))
        printf("decay_rate   %-12.6g (of ||x - mean||^2, from %.4g to %.4g)\n", decay->rate, decay->fit_from,
               decay->fit_to);
    else
        printf("decay_rate   %-12.6g (of ||x - mean||^2, from %.4g to %.4g; +- %.2g from seed to seed)\n", decay->rate,
               decay->fit_from, decay->fit_to, decay->spread);
}

static void print_text(const struct findings *found)
{
    const struct request *request = found->request;
    printf("graph        %s, %d workers, %d edges, rate %g per gradient and worker\n", found->graph->name,
           found->graph->worker_count, found->graph->edge_count, request->options.params.rate);
    printf("algorithm    %s, %g seeds, dimension %g, %.6g units of time\n", request->algorithm, request->repetitions,
           request->dimension, found->time);
    if (!request->no_theory)
        printf("chi1         %.6g\nchi2         %.6g\n", found->spectrum.chi1, found->spectrum.chi2);
    printf("eta          %.6g\nalpha        %.6g\nalpha_tilde  %.6g\n", found->constants.eta, found->constants.alpha,
           found->constants.alpha_tilde);
    print_decay(found);
    if (!request->no_theory)
        printf("theory_rate  %-12.6g (1/%s; expected between half of it, %.6g, and the whole)\n", theory_rate(found),
               is_acid(found) ? "sqrt(chi1*chi2)" : "chi1", theory_rate(found) / 2);
    printf("events       %-12.6g (%.3g per second)\n", (double)found->decay.meetings,
           (double)found->decay.meetings / found->wall_s);
}

int command_gossip(int count, char **arguments)
{
    struct request request;
    struct graph *graph = NULL;
    struct findings found = {.request = &request};
    enum status status;
    TRY_GOTO(parse(count, arguments, &request), destroy_graph);
    TRY_GOTO(graph_create(&request.options.params, &graph), destroy_graph);
    found.graph = graph;
    TRY_GOTO(measure(&found), destroy_graph);
    (request.options.json ? print_json : print_text)(&found);
destroy_graph:
    graph_destroy(graph);
    return (int)status;
}
