/* How far unlike data pull workers apart, in the simulator's ideal time: with χ1 in the asynchronous baseline, with
 * √(χ1 χ2) under A²CiD², on rings of 8 to 128 workers. And where the averaged model of a convex run settles.
 *
 * In the convergence theorem the graph enters as 1 + χ, χ = χ1 or √(χ1 χ2), because workers whose data are unlike are
 * not where their mean is. What can be measured of that is the bias of a worker's model, E x_i − x*, once it has
 * settled; with worker i's own quadratic ½ ‖x − m_i‖², Σ m_i = 0, x* = 0, no other noise, it is known exactly. Along an
 * eigenvector of Λ with eigenvalue λ, the unlike part of the data exerts a constant mean pull p = E (m_i − x_i), and
 *
 *     0 = A (E x, E x̃)ᵀ + γ p (1, 1)ᵀ,   A = [−η−αλ, η; η−α̃λ, −η]
 *     E x = 2/(λ(α+α̃)) γp,   E x̃ = (2η + (α−α̃)λ)/(ηλ(α+α̃)) γp
 *
 * The slowest eigenvector, λ = 1/χ1, is the one that χ1 is about; with the constants of the theorem
 *
 *     baseline   E x = 2χ1 γp
 *     A²CiD²     E x̃ = 2√(χ1 χ2) γp,   E x = 2√(χ1 χ2) γp · 2/(1 + √(χ2/χ1))
 *
 * at every n and for every γ: what stands before γp is the bias, and is what is fitted here. The last factor is between
 * 1 and 2, and still on its way to 2 on rings of 8 to 128, so that x follows √(χ1 χ2) with a somewhat larger exponent
 * there, which is known as well.
 *
 * So worker i of n has one picture, (cos 2πi/n, sin 2πi/n), which is both slowest eigenvectors of a ring; everybody
 * starts at x*, and E is the mean over a worker's gradient events (Poisson events see time averages), after twelve
 * times the time in which the start is forgotten. The argument is the number of seeds; tests/laws/convex_bias_long.sh
 * has more of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/spectrum.h"
#include "nn/model.h"
#include "runtime/simulation.h"
#include "worker/optimum.h"

enum { WORKERS_MAX = 128, SIZES = 5, SEEDS = 5, SEEDS_MAX = 100, FLOOR_DIMENSION = 64 };

static const int sizes[SIZES] = {8, 16, 32, 64, 128};
static const double pi = 3.14159265358979323846;

/* --- a network of workers on a ring, and one run of it --- */

struct network {
    const struct device_ops *ops;
    struct device *device; /* owned */
    struct graph *graph;   /* owned */
    struct spectrum spectrum;
    struct acid_constants constants;
    struct net_spec *spec;               /* owned */
    struct engine *engine;               /* owned */
    struct worker *workers[WORKERS_MAX]; /* owned */
    struct runtime_params run;
};

struct network_params {
    const char *algorithm;
    int workers;
    const struct dataset *set;
    const struct partition *partitions; /* (workers) */
    struct schedule_params schedule;
    uint64_t seed;
    double time; /* units of time */
};

static void create_workers(struct network *network, const struct network_params *params)
{
    float *start = memory_zalloc(network->spec->parameter_size, sizeof *start); /* x* is near or at 0 */
    struct worker_params worker = {.worker_count = params->workers,
                                   .seed = params->seed,
                                   .batch = 1,
                                   .ops = network->ops,
                                   .device = network->device,
                                   .spec = network->spec,
                                   .algo = algo_find(params->algorithm),
                                   .eta = network->constants.eta,
                                   .alpha = network->constants.alpha,
                                   .alpha_tilde = network->constants.alpha_tilde,
                                   .train = params->set,
                                   .test = params->set,
                                   .engine = network->engine,
                                   .initial_parameters = start};
    assert_int_equal(schedule_init(&worker.schedule, &params->schedule), STATUS_OK);
    for (int i = 0; i < params->workers; i++) {
        worker.worker = i;
        worker.partition = &params->partitions[i];
        assert_int_equal(worker_create(&worker, &network->workers[i]), STATUS_OK);
    }
    free(start);
}

static void create_graph(struct network *network, const struct network_params *params)
{
    struct graph_params graph = {.name = "ring", .worker_count = params->workers, .rate = 1};
    assert_int_equal(graph_create(&graph, &network->graph), STATUS_OK);
    assert_int_equal(spectrum_compute(network->graph, &network->spectrum), STATUS_OK);
    network->constants = (struct acid_constants){.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    if (strcmp(params->algorithm, "acid") == 0)
        network->constants = acid_constants_from(&network->spectrum);
}

static void network_init(struct network *network, const struct network_params *params)
{
    struct device_params device = {.name = "cpu", .threads = 1, .precision = "auto"};
    struct model_params model = {.name = "quadratic",
                                 .channels = params->set->channels,
                                 .height = params->set->height,
                                 .width = params->set->width,
                                 .class_count = params->set->class_count,
                                 .condition = 1};
    *network = (struct network){.ops = device_choose("cpu")};
    assert_int_equal(network->ops->create(&device, &network->device), STATUS_OK);
    create_graph(network, params);
    assert_int_equal(model_build(&model, &network->spec), STATUS_OK);
    struct engine_params engine = {
        .ops = network->ops, .device = network->device, .spec = network->spec, .batch = 1, .shared = true};
    assert_int_equal(engine_create(&engine, &network->engine), STATUS_OK);
    create_workers(network, params);
    network->run = (struct runtime_params){
        .seed = params->seed,
        .graph = network->graph,
        .mixing = {.eta = network->constants.eta,
                   .alpha = network->constants.alpha,
                   .alpha_tilde = network->constants.alpha_tilde},
        .gradient_total = (uint64_t)(params->time * params->workers),
        .gradients_per_epoch = params->workers,
        .batch_norm = BATCH_NORM_OWN,
    };
}

static void network_release(struct network *network)
{
    for (int i = 0; i < network->graph->worker_count; i++)
        worker_destroy(network->workers[i]);
    engine_destroy(network->engine);
    model_destroy(network->spec);
    graph_destroy(network->graph);
    network->ops->destroy(network->device);
}

static void network_run(struct network *network, const struct observer *observer, const struct optimum *optimum)
{
    struct scenario *scenario;
    struct scenario_params calm = {
        .bytes_per_second = INFINITY, .worker_count = network->graph->worker_count, .graph = network->graph};
    struct runtime_result result;
    assert_int_equal(scenario_create(&calm, &scenario), STATUS_OK);
    struct simulation_params params = {.run = &network->run,
                                       .time = SIMULATED_IDEAL,
                                       .poisson = true,
                                       .scenario = scenario,
                                       .ops = network->ops,
                                       .device = network->device,
                                       .optimum = optimum};
    assert_int_equal(runtime_sim_run(&params, network->workers, network->graph->worker_count, observer, &result),
                     STATUS_OK);
    runtime_result_release(&result);
    scenario_destroy(scenario);
}

static void ignore_step(void *context, const struct step_report *report)
{
    (void)context;
    (void)report;
}

static void ignore_evaluation(void *context, const struct evaluation_report *report)
{
    (void)context;
    (void)report;
}

/* --- the bias of unlike data --- */

struct circle {
    struct dataset base; /* first, so that a dataset is a circle */
    int32_t labels[WORKERS_MAX];
    uint32_t indices[WORKERS_MAX];
    struct partition partitions[WORKERS_MAX]; /* worker i has picture i */
};

static enum status circle_fetch(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    (void)augment;
    double angle = 2 * pi * (double)index / (double)set->count;
    out[0] = (float)cos(angle);
    out[1] = (float)sin(angle);
    return STATUS_OK;
}

static const struct dataset_ops circle_ops = {.fetch = circle_fetch};

static void circle_init(struct circle *circle, int workers)
{
    *circle = (struct circle){
        .base = {
            .ops = &circle_ops, .count = (size_t)workers, .channels = 1, .height = 1, .width = 2, .class_count = 1}};
    circle->base.labels = circle->labels;
    for (int i = 0; i < workers; i++) {
        circle->indices[i] = (uint32_t)i;
        circle->partitions[i] = (struct partition){.indices = &circle->indices[i], .count = 1};
    }
}

/* Sums over one worker's gradient events, of components along its picture. */
struct component_sums {
    double x, x_tilde, pull;
    uint64_t events;
};

struct watch {
    const struct circle *circle;
    struct worker *const *workers;
    double learning_rate, from; /* events count from this time on */
    struct component_sums sums[WORKERS_MAX];
};

/* The vectors are as the update left them: x = before + γ (m − before), and x̃ has had the same. */
static void on_event(void *context, const struct event_report *report)
{
    struct watch *watch = context;
    if (report->kind != EVENT_UPDATE || report->t < watch->from)
        return;
    float picture[2];
    const float *x = worker_parameters(watch->workers[report->worker]);
    const float *x_tilde = worker_vector(watch->workers[report->worker], "x_tilde");
    struct component_sums *sums = &watch->sums[report->worker];
    double rate = watch->learning_rate;
    circle_fetch(&watch->circle->base, (size_t)report->worker, NULL, picture);
    for (int k = 0; k < 2; k++) {
        double before = (x[k] - rate * picture[k]) / (1 - rate), pull = picture[k] - before;
        sums->x += picture[k] * before;
        sums->pull += picture[k] * pull;
        sums->x_tilde += x_tilde == NULL ? 0 : picture[k] * (x_tilde[k] - rate * pull);
    }
    sums->events++;
}

/* Of the bias, per γp. */
struct bias {
    double x, x_tilde; /* x̃ of the baseline: 0 */
};

/* Time in which the mean of the slowest eigenvector forgets its start: 1 over the slower rate of [A − γ (1 0; 1 0)]. */
static double memory_of(const struct network *network, double learning_rate)
{
    const struct acid_constants *c = &network->constants;
    double lambda = 1 / network->spectrum.chi1;
    if (c->eta == 0)
        return 1 / (c->alpha * lambda + learning_rate);
    double half = (2 * c->eta + c->alpha * lambda + learning_rate) / 2;
    double determinant = c->eta * (lambda * (c->alpha + c->alpha_tilde) + 2 * learning_rate);
    double square = half * half - determinant;
    return square > 0 ? (half + sqrt(square)) / determinant : 1 / half;
}

static struct bias expected_bias(const struct spectrum *spectrum, bool acid)
{
    double root = sqrt(spectrum->chi1 * spectrum->chi2), share = sqrt(spectrum->chi2 / spectrum->chi1);
    if (!acid)
        return (struct bias){.x = 2 * spectrum->chi1};
    return (struct bias){.x = 2 * root * 2 / (1 + share), .x_tilde = 2 * root};
}

struct trial {
    const char *algorithm;
    int workers;
    double learning_rate;
    double gradients; /* of all workers, that are measured */
    uint64_t seed;
};

static struct bias measure_bias(const struct trial *trial, struct spectrum *spectrum)
{
    static struct circle circle;
    static struct network network;
    circle_init(&circle, trial->workers);
    struct network_params params = {
        .algorithm = trial->algorithm,
        .workers = trial->workers,
        .set = &circle.base,
        .partitions = circle.partitions,
        .schedule = {.name = "constant", .base_rate = trial->learning_rate, .batch = 1, .epochs = 1},
        .seed = trial->seed,
    };
    params.schedule.worker_count = trial->workers;
    network_init(&network, &params);
    struct watch watch = {.circle = &circle, .workers = network.workers, .learning_rate = trial->learning_rate};
    struct observer observer = {
        .context = &watch, .on_event = on_event, .on_step = ignore_step, .on_evaluation = ignore_evaluation};
    watch.from = 12 * memory_of(&network, trial->learning_rate);
    network.run.gradient_total = (uint64_t)(watch.from * trial->workers + trial->gradients);
    network_run(&network, &observer, NULL);
    struct component_sums mean = {0};
    for (int i = 0; i < trial->workers; i++) {
        double events = (double)watch.sums[i].events;
        mean.x += watch.sums[i].x / events;
        mean.x_tilde += watch.sums[i].x_tilde / events;
        mean.pull += watch.sums[i].pull / events;
    }
    *spectrum = network.spectrum;
    network_release(&network);
    return (struct bias){.x = mean.x / (mean.pull * trial->learning_rate),
                         .x_tilde = mean.x_tilde / (mean.pull * trial->learning_rate)};
}

/* --- exponents --- */

struct estimate {
    double mean, confidence; /* confidence: half of the mean's 95 % interval */
};

/* 97.5 % quantile of Student's t, by Fisher's expansion around the normal one: within 0.3 % from 4 degrees on. */
static double student(double degrees)
{
    const double z = 1.959964;
    return z + (pow(z, 3) + z) / (4 * degrees) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * pow(degrees, 2)) +
           (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * pow(degrees, 3));
}

static struct estimate estimate(const double *values, int count)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    for (int i = 0; i < count; i++)
        squares += pow(values[i] - sum / count, 2);
    double error = sqrt(squares / (count - 1) / count);
    return (struct estimate){.mean = sum / count, .confidence = student(count - 1) * error};
}

/* Slope of log y over log x by least squares. */
static double exponent(const double *x, const double *y)
{
    double mean_x = 0, mean_y = 0, products = 0, squares = 0;
    for (int k = 0; k < SIZES; k++) {
        mean_x += log(x[k]) / SIZES;
        mean_y += log(y[k]) / SIZES;
    }
    for (int k = 0; k < SIZES; k++) {
        products += (log(x[k]) - mean_x) * (log(y[k]) - mean_y);
        squares += (log(x[k]) - mean_x) * (log(x[k]) - mean_x);
    }
    return products / squares;
}

/* One line of the table: a bias against the χ that it is to follow. */
struct law {
    const char *of, *against;
    double deviation, exponent_deviation; /* relative, of a bias and of an exponent from one seed, as forty show: of the
                                           * bias at the size where it is largest */
    double chi[SIZES], workers[SIZES], expected[SIZES];
    double measured[SEEDS_MAX][SIZES];
};

/* What is measured is what theory says, size by size, and so are the exponents: within four standard errors. */
static void assert_law(const struct law *law, int seeds)
{
    double values[SEEDS_MAX];
    for (int k = 0; k < SIZES; k++) {
        for (int s = 0; s < seeds; s++)
            values[s] = law->measured[s][k] / law->expected[k];
        struct estimate ratio = estimate(values, seeds);
        print_message("  n %3.0f  %s %8.3f, bias of %-12s %9.3f: %.4f ± %.4f of theory's\n", law->workers[k],
                      law->against, law->chi[k], law->of, ratio.mean * law->expected[k], ratio.mean, ratio.confidence);
        assert_true(fabs(ratio.mean - 1) <= 4 * law->deviation / sqrt(seeds));
    }
    for (int s = 0; s < seeds; s++)
        values[s] = exponent(law->workers, law->measured[s]);
    struct estimate of_n = estimate(values, seeds);
    for (int s = 0; s < seeds; s++)
        values[s] = exponent(law->chi, law->measured[s]);
    struct estimate of_chi = estimate(values, seeds);
    double expected = exponent(law->chi, law->expected);
    print_message("bias of %s follows (%s)^p with p = %.4f ± %.4f (95 %%, %d seeds), theory %.4f; n^p with p = %.4f ± "
                  "%.4f, theory %.4f\n",
                  law->of, law->against, of_chi.mean, of_chi.confidence, seeds, expected, of_n.mean, of_n.confidence,
                  exponent(law->workers, law->expected));
    assert_true(fabs(of_chi.mean - expected) <= 4 * law->exponent_deviation / sqrt(seeds));
}

static void measure_size(int k, int seeds, struct law *baseline, struct law *momentum, struct law *model)
{
    struct law *const laws[] = {baseline, momentum, model};
    struct spectrum spectrum;
    struct trial trial = {.workers = sizes[k], .learning_rate = 0.005, .gradients = 60000};
    for (int s = 0; s < seeds; s++) {
        trial.seed = 1000 * (uint64_t)(s + 1) + (uint64_t)sizes[k];
        trial.algorithm = "gossip";
        baseline->measured[s][k] = measure_bias(&trial, &spectrum).x;
        trial.algorithm = "acid";
        struct bias bias = measure_bias(&trial, &spectrum);
        momentum->measured[s][k] = bias.x_tilde;
        model->measured[s][k] = bias.x;
    }
    for (int i = 0; i < 3; i++) {
        laws[i]->workers[k] = sizes[k];
        laws[i]->chi[k] = i == 0 ? spectrum.chi1 : sqrt(spectrum.chi1 * spectrum.chi2);
    }
    baseline->expected[k] = expected_bias(&spectrum, false).x;
    momentum->expected[k] = expected_bias(&spectrum, true).x_tilde;
    model->expected[k] = expected_bias(&spectrum, true).x;
}

static void bias_follows_chi(void **state)
{
    static struct law baseline = {.of = "baseline x", .against = "χ1", .deviation = 0.01, .exponent_deviation = 0.002};
    static struct law momentum = {
        .of = "A²CiD² x̃", .against = "√(χ1χ2)", .deviation = 0.033, .exponent_deviation = 0.011};
    static struct law model = {.of = "A²CiD² x", .against = "√(χ1χ2)", .deviation = 0.017, .exponent_deviation = 0.006};
    int seeds = *(const int *)*state;
    for (int k = 0; k < SIZES; k++)
        measure_size(k, seeds, &baseline, &momentum, &model);
    assert_law(&baseline, seeds);
    assert_law(&momentum, seeds);
    assert_law(&model, seeds);
    assert_true(fabs(exponent(baseline.chi, baseline.expected) - 1) < 1e-12);
    assert_true(fabs(exponent(momentum.chi, momentum.expected) - 1) < 1e-12);
}

/* The bias per γp is the same where γ is so large that a worker stays near its own minimiser, and where it is so small
 * that everybody stays near the common one. One seed, within four of the deviations that forty seeds show. */
static void bias_does_not_depend_on_the_learning_rate(void **state)
{
    (void)state;
    const double rates[] = {0.0005, 0.005, 0.05, 0.5};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct spectrum spectrum;
        struct trial trial = {
            .algorithm = "gossip", .workers = 16, .learning_rate = rates[i], .gradients = 60000, .seed = 77};
        double plain = measure_bias(&trial, &spectrum).x / expected_bias(&spectrum, false).x;
        trial.algorithm = "acid";
        double acid = measure_bias(&trial, &spectrum).x / expected_bias(&spectrum, true).x;
        print_message("  γ %.4f: %.4f and %.4f of theory's\n", rates[i], plain, acid);
        assert_true(fabs(plain - 1) <= 0.034 && fabs(acid - 1) <= 0.045);
    }
}

/* --- where the averaged model settles --- */

enum { PHASES = 2 };

/* Means over the second half of each phase of the learning rate. */
struct floors {
    double loss[PHASES], distance[PHASES], gap[PHASES];
    uint64_t losses[PHASES], looks[PHASES];
    uint64_t gradient_total;
};

/* −1: the first half of a phase. */
static int phase_of(const struct floors *floors, uint64_t gradients)
{
    double place = PHASES * (double)gradients / (double)floors->gradient_total;
    return place < PHASES && place - floor(place) >= 0.5 ? (int)place : -1;
}

static void on_step(void *context, const struct step_report *report)
{
    struct floors *floors = context;
    int phase = phase_of(floors, report->global_step);
    if (phase < 0)
        return;
    floors->loss[phase] += report->loss;
    floors->losses[phase]++;
}

static void on_network(void *context, const struct network_report *report)
{
    struct floors *floors = context;
    int phase = phase_of(floors, report->global_step);
    if (phase < 0)
        return;
    floors->distance[phase] += report->optimum_distance;
    floors->gap[phase] += report->optimum_gap;
    floors->looks[phase]++;
}

/* A gradient of worker i moves x̄ by γ(ξ − x_i)/n, so with independent draws E ‖x̄ − x*‖² settles at γ/n times the
 * training loss, E ½‖x_i − ξ‖². A shuffled epoch of N pictures has less noise: x̄ remembers some 2/γ gradients of a
 * worker, and those of an epoch nearly cancel, so the level is lower by a share of 2/(γN). The bounds are four
 * deviations, which are 0.8 % and 2.1 %, as forty seeds show. */
static void assert_floors(const char *algorithm)
{
    enum { WORKERS = 8, TIME = 24000 };
    const double rates[PHASES] = {0.1, 0.02}, deviations[PHASES] = {0.008, 0.021};
    struct dataset *set;
    struct dataset_params data = {.name = "gaussian",
                                  .path = "",
                                  .train = true,
                                  .seed = 3,
                                  .dimension = FLOOR_DIMENSION,
                                  .class_count = 1,
                                  .condition = 1};
    struct partition_params shared = {.name = "shared", .worker_count = WORKERS, .seed = 3};
    struct partition partitions[WORKERS];
    assert_int_equal(dataset_open(&data, &set), STATUS_OK);
    assert_int_equal(partition_create(&shared, set, &partitions[0], NULL), STATUS_OK);
    for (int i = 1; i < WORKERS; i++)
        partitions[i] = partitions[0];
    struct network_params params = {
        .algorithm = algorithm,
        .workers = WORKERS,
        .set = set,
        .partitions = partitions,
        .schedule = {.name = "step", .base_rate = rates[0], .batch = 1, .worker_count = WORKERS, .epochs = 1},
        .seed = 3,
        .time = TIME,
    };
    params.schedule.milestones[0] = 0.5;
    params.schedule.milestone_count = 1;
    params.schedule.factor = rates[1] / rates[0];
    static struct network network;
    network_init(&network, &params);
    network.run.log_every = 5;
    struct optimum *optimum;
    struct optimum_params problem = {
        .spec = network.spec, .train = set, .partitions = partitions, .partition_count = 1, .threads = 1};
    assert_int_equal(optimum_create(&problem, &optimum), STATUS_OK);
    struct floors floors = {.gradient_total = network.run.gradient_total};
    struct observer observer = {
        .context = &floors, .on_step = on_step, .on_network = on_network, .on_evaluation = ignore_evaluation};
    network_run(&network, &observer, optimum);
    for (int phase = 0; phase < PHASES; phase++) {
        double looks = (double)floors.looks[phase], measured = floors.distance[phase] / looks;
        double expected = rates[phase] / WORKERS * floors.loss[phase] / (double)floors.losses[phase];
        expected *= 1 - 2 / (rates[phase] * (double)set->count);
        print_message("  %s, γ %.2f: ‖x̄ − x*‖² %.5f, %.4f of theory's\n", algorithm, rates[phase], measured,
                      measured / expected);
        assert_true(fabs(measured / expected - 1) <= 4 * deviations[phase]);
        assert_true(fabs(floors.gap[phase] / looks - measured / 2) <= 1e-9 * measured);
    }
    optimum_destroy(optimum);
    network_release(&network);
    partition_release(&partitions[0]);
    dataset_close(set);
}

static void averaged_model_settles_at_its_noise_floor(void **state)
{
    (void)state;
    assert_floors("gossip");
    assert_floors("acid");
}

int main(int count, char **arguments)
{
    int seeds = count > 1 ? atoi(arguments[1]) : SEEDS;
    assert(seeds >= 2 && seeds <= SEEDS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(bias_follows_chi, &seeds),
        cmocka_unit_test(bias_does_not_depend_on_the_learning_rate),
        cmocka_unit_test(averaged_model_settles_at_its_noise_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
