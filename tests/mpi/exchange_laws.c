/* Laws of the exchange between real ranks, with compute threads running.
 *
 *   exchange_laws GRAPH ALGORITHM TRANSPORT EXCHANGES WIDTH RATE [LINKS [PAUSE [DAMAGE]]]
 *
 * Every rank makes gradient events of random directions while its communication thread meets its neighbors, until all
 * ranks together have held EXCHANGES meetings, as far as LINKS and PAUSE, the texts of inject.links and inject.pause,
 * do not lose some; of the snapshots a share of DAMAGE is put twice, as many are torn, and as many corrupt. Then:
 *   1. Σ_i (x_i + x̃_i) has changed by the gradient events only: ‖difference‖₂ ≤ 2⁻²⁴·√events·‖Σ‖₂, sums in float64;
 *   2. who met whom is symmetric, and only neighbors met;
 *   3. meetings served over ticks drawn is at least 0.99 with enforce_rate (ticks dropped at the end aside: at most the
 *      limit of pending meetings per rank and edge);
 *   4. every edge was met at its rate, λ_ij times the mean number of gradients of its ends, losses aside: χ² of the
 *      counts is below its 10⁻⁶ quantile;
 *   5. their sum is within 5 standard deviations of what the clocks promise. Where degrees differ the hub's rank makes
 *      fewer gradients than the others, so that this is less than EXCHANGES;
 *   6. states recorded at intervals meanwhile are consistent: in each that all ranks have kept, 1 holds of the recorded
 *      vectors and of the gradient events that each rank had made by then (in 4 random directions);
 *   7. and who had met whom by then is symmetric; there are some;
 *   8. with DAMAGE some snapshots were found damaged, and some were put again. */
#include <math.h>

#include "mpi/mpi_fixture.h"
#include "mpi/recorded_cuts.h"

static int failures;

static void expect(const struct job *job, int good, const char *law, double found, double bound)
{
    if (job->rank == 0)
        printf("%s %-46s %.4g (bound %.4g)\n", good ? "ok  " : "FAIL", law, found, bound);
    failures += !good;
}

/* Σ over ranks of x + x̃ (x twice where x̃ is not kept), in float64. */
static double *sum_all(struct mpi_fixture *f)
{
    size_t count = worker_parameter_size(f->worker);
    const float *x = worker_parameters(f->worker), *x_tilde = worker_vector(f->worker, "x_tilde");
    double *sum = memory_zalloc(count, sizeof sum[0]);
    for (size_t k = 0; k < count; k++)
        sum[k] = (double)x[k] + (double)(x_tilde != NULL ? x_tilde[k] : x[k]);
    must(job_sum_doubles(&f->job, "sum", sum, count), "job_sum_doubles");
    return sum;
}

/* One gradient event of a random direction; what it did to x + x̃ is added to `applied`. `change` (count): scratch. */
static void gradient_event(struct mpi_fixture *f, struct communicator *c, struct recorded_cuts *cuts, double *change,
                           double *applied)
{
    uint64_t step = cuts->step_count;
    size_t count = worker_parameter_size(f->worker);
    float *x = worker_parameters(f->worker), *x_tilde = worker_vector(f->worker, "x_tilde");
    float *gradient = worker_gradient_vector(f->worker);
    struct random_stream stream = random_stream(7, RANDOM_TEST, (uint32_t)f->job.rank, step);
    communicator_begin_step(c, stopwatch_now());
    for (size_t k = 0; k < count; k++)
        gradient[k] = (float)(random_u32(&stream) >> 8) * 0x1p-24f - 0.5f;
    communicator_lock(c);
    communicator_end_step(c, stopwatch_now());
    for (size_t k = 0; k < count; k++)
        change[k] = -(double)x[k] - (double)(x_tilde != NULL ? x_tilde[k] : x[k]);
    worker_update(f->worker, (double)(step + 1), 0.5);
    for (size_t k = 0; k < count; k++) {
        change[k] += (double)x[k] + (double)(x_tilde != NULL ? x_tilde[k] : x[k]);
        applied[k] += change[k];
    }
    recorded_cuts_step(cuts, change);
    communicator_unlock(c);
}

static void check_sum(struct mpi_fixture *f, const double *start, const double *applied, double events)
{
    size_t count = worker_parameter_size(f->worker);
    double *end = sum_all(f), off = 0, norm = 0;
    for (size_t k = 0; k < count; k++) {
        double difference = end[k] - start[k] - applied[k];
        off += difference * difference;
        norm += end[k] * end[k];
    }
    double bound = 0x1p-24 * sqrt(events) * sqrt(norm);
    expect(&f->job, sqrt(off) <= bound, "sum of x + x_tilde is kept", sqrt(off), bound);
    free(end);
}

/* Returns how many meetings the clocks promise for the gradients that were made. */
static double check_meetings(struct mpi_fixture *f, struct communicator *c, double own_steps)
{
    int n = f->job.size;
    double *steps = memory_zalloc((size_t)n, sizeof steps[0]);
    double *row = memory_zalloc((size_t)n, sizeof row[0]), *all = memory_zalloc((size_t)n * (size_t)n, sizeof row[0]);
    for (int j = 0; j < n; j++)
        row[j] = (double)communicator_meetings(c)[j];
    must(job_gather_doubles(&f->job, "steps", &own_steps, 1, steps), "gather");
    must(job_gather_doubles(&f->job, "meetings", row, (size_t)n, all), "gather");
    double asymmetry = 0, chi_square = 0, strangers = 0, promised = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            asymmetry += fabs(all[i * n + j] - all[j * n + i]);
    for (int e = 0; e < f->graph->edge_count; e++) {
        const struct graph_edge *edge = &f->graph->edges[e];
        double kept = 1 - scenario_link(f->run.scenario, edge->a, edge->b).loss;
        double expected = kept * edge->rate * (steps[edge->a] + steps[edge->b]) / 2;
        double met = all[edge->a * n + edge->b];
        promised += expected;
        chi_square += (met - expected) * (met - expected) / expected;
        all[edge->a * n + edge->b] = all[edge->b * n + edge->a] = 0;
    }
    for (int k = 0; k < n * n; k++)
        strangers += all[k];
    double quantile = f->graph->edge_count + 5 * sqrt(2.0 * f->graph->edge_count) + 18;
    expect(&f->job, asymmetry == 0, "who met whom is symmetric", asymmetry, 0);
    expect(&f->job, strangers == 0, "only neighbors met", strangers, 0);
    expect(&f->job, chi_square < quantile, "every edge is met at its rate (chi square)", chi_square, quantile);
    free(all);
    free(row);
    free(steps);
    return promised;
}

static void check_cuts(const struct mpi_fixture *f, const struct cuts_found *found)
{
    bool agree = found->asymmetry == 0 && found->count > 0;
    if (f->job.rank == 0)
        printf("%d states recorded\n", found->count);
    expect(&f->job, found->off_most <= 1, "recorded states keep the sum too, of rounding", found->off_most, 1);
    expect(&f->job, agree, "recorded states agree on who met whom", found->asymmetry, 0);
}

static struct scenario *inject(struct mpi_fixture *f, const char *links, const char *pause, double damage)
{
    struct scenario_params params = {.links = links,
                                     .pause = pause,
                                     .damage = {.duplicate = damage, .torn = damage, .corrupt = damage},
                                     .bytes_per_second = INFINITY,
                                     .worker_count = f->job.size,
                                     .graph = f->graph};
    struct scenario *scenario = NULL;
    must(scenario_create(&params, &scenario), "scenario_create");
    return scenario;
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 10) {
        fprintf(stderr,
                "usage: exchange_laws GRAPH ALGORITHM TRANSPORT EXCHANGES WIDTH RATE [LINKS [PAUSE [DAMAGE]]]\n");
        return 2;
    }
    struct mpi_fixture f;
    double exchanges = atof(argv[4]), rate = atof(argv[6]), damage = argc > 9 ? atof(argv[9]) : 0;
    mpi_fixture_open(&f, &argc, &argv, argv[1], "mlp", argv[2], argv[3], rate, atoi(argv[5]));
    struct scenario *scenario = inject(&f, argc > 7 ? argv[7] : "", argc > 8 ? argv[8] : "", damage);
    f.run.scenario = scenario;
    /* n/2·rate meetings per unit of time, in which every rank makes one gradient. */
    f.run.gradient_total = (uint64_t)(2 * exchanges / rate) + 1;
    size_t count = worker_parameter_size(f.worker);
    double *start = sum_all(&f), *applied = memory_zalloc(count, sizeof applied[0]);
    double *change = memory_zalloc(count, sizeof change[0]);
    struct recorded_cuts cuts;
    recorded_cuts_open(&cuts, &f, (double)f.run.gradient_total / 20);
    struct communicator *c = NULL;
    struct communicator_params params = mpi_fixture_communicator(&f);
    params.cut = cuts.cut;
    must(communicator_create(&params, &c), "communicator_create");
    must(communicator_start(c), "communicator_start");
    double begin_s = stopwatch_now();
    while (!communicator_stop(c)) {
        communicator_wait_rate(c);
        gradient_event(&f, c, &cuts, change, applied);
    }
    must(communicator_finish(c), "communicator_finish");
    double wall_s = stopwatch_now() - begin_s;
    struct communicator_counts counts = communicator_counts(c);
    double sums[] = {(double)cuts.step_count, (double)counts.exchanges / 2, (double)counts.ticks,
                     (double)counts.unserved, (double)counts.given_up,      (double)counts.damaged,
                     (double)counts.repeated};
    must(job_sum_doubles(&f.job, "counts", sums, sizeof sums / sizeof sums[0]), "job_sum_doubles");
    must(job_sum_doubles(&f.job, "applied", applied, count), "job_sum_doubles");
    if (f.job.rank == 0)
        printf("%s %s %s, %d ranks, %zu elements, transport %s: %.0f gradients, %.0f exchanges in %.1f s, %.0f waits "
               "given up, %.0f snapshots damaged, %.0f put again\n",
               argv[1], argv[2], argv[3], f.job.size, count, communicator_transport_name(c), sums[0], sums[1], wall_s,
               sums[4], sums[5], sums[6]);
    check_sum(&f, start, applied, sums[0] + 2 * sums[1]);
    double promised = check_meetings(&f, c, (double)cuts.step_count);
    double served = (sums[2] - sums[3]) / sums[2];
    expect(&f.job, served >= 0.99, "meetings served over ticks drawn", served, 0.99);
    double off = fabs(sums[1] - promised), allowed = 5 * sqrt(promised) + 2 * f.job.size;
    expect(&f.job, off <= allowed, "meetings held, off what the clocks promise", off, allowed);
    struct cuts_found found = recorded_cuts_close(&cuts);
    check_cuts(&f, &found);
    if (damage > 0)
        expect(&f.job, fmin(sums[5], sums[6]) > 0, "snapshots were damaged, and put again", sums[5], sums[6]);
    int rank = f.job.rank;
    communicator_destroy(c);
    scenario_destroy(scenario);
    free(start);
    free(applied);
    free(change);
    int failed = mpi_fixture_close(&f, failures);
    if (rank == 0)
        printf("%d passed, %d failed\n", 8 + (damage > 0) - failures, failures);
    return failed;
}
