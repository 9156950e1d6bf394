/* Laws of the dynamic on several replicas in one process: what meetings, advances and updates conserve, and which
 * algorithms coincide. Snapshots are applied late, with other events in between, as on a network. */
#include "algo_fixture.h"

#include <math.h>
#include <stdbool.h>

enum { WORKERS = 8, COUNT = 257, DECAYED = 200, RECORDS = 3 };

/* The constants of A²CiD² on the ring of 8 at rate 1. */
static const double eta = 0.2893, alpha_tilde = 0.9877;

struct meeting {
    bool open;
    int ends[2];
    bool applied[2];
    float *snapshots[2]; /* owned, (COUNT) */
};

struct swarm {
    struct fixture fixture;
    struct replica_under_test replicas[WORKERS];
    double t[WORKERS];
    struct meeting meetings[RECORDS];
    struct random_stream stream; /* decides what happens */
};

static void swarm_init(struct swarm *swarm, const char *name, const struct algo_params *params)
{
    *swarm = (struct swarm){.fixture = fixture_create(), .stream = random_stream(7, RANDOM_TEST, 100, 0)};
    for (int i = 0; i < WORKERS; i++) {
        float initial[COUNT];
        fill_normal(initial, COUNT, (uint32_t)i, 0);
        swarm->replicas[i] = replica_create(&swarm->fixture, name, params, initial);
    }
    for (int k = 0; k < RECORDS; k++)
        for (int side = 0; side < 2; side++)
            swarm->meetings[k].snapshots[side] = fixture_vector(&swarm->fixture, COUNT);
}

static void swarm_release(struct swarm *swarm)
{
    for (int k = 0; k < RECORDS; k++)
        for (int side = 0; side < 2; side++)
            fixture_free(&swarm->fixture, swarm->meetings[k].snapshots[side]);
    for (int i = 0; i < WORKERS; i++)
        replica_destroy(&swarm->replicas[i]);
    fixture_destroy(&swarm->fixture);
}

static float *x_tilde_of(struct replica_under_test *replica)
{
    return replica->ops->vector(replica->algo, "x_tilde");
}

/* Both ends take their snapshots now; they are applied later, each side on its own. */
static void open_meeting(struct swarm *swarm, struct meeting *meeting)
{
    int a = (int)random_below(&swarm->stream, WORKERS);
    int b = (a + 1 + (int)random_below(&swarm->stream, WORKERS - 1)) % WORKERS;
    meeting->open = true;
    meeting->ends[0] = a;
    meeting->ends[1] = b;
    meeting->applied[0] = meeting->applied[1] = false;
    for (int side = 0; side < 2; side++) {
        struct replica_under_test *replica = &swarm->replicas[meeting->ends[side]];
        replica->ops->snapshot(replica->algo, swarm->t[meeting->ends[side]], false, 0, COUNT, meeting->snapshots[side]);
    }
}

static void apply_side(struct swarm *swarm, struct meeting *meeting, int side)
{
    int worker = meeting->ends[side];
    replica_meet(&swarm->replicas[worker], swarm->t[worker], meeting->snapshots[side], meeting->snapshots[1 - side]);
    meeting->applied[side] = true;
    meeting->open = !meeting->applied[1 - side];
}

/* One event of meeting k: it begins, or one of its sides applies it. */
static void advance_meeting(struct swarm *swarm, struct meeting *meeting)
{
    if (!meeting->open) {
        open_meeting(swarm, meeting);
        return;
    }
    int side = (int)random_below(&swarm->stream, 2);
    apply_side(swarm, meeting, meeting->applied[side] ? 1 - side : side);
}

static void finish_meetings(struct swarm *swarm)
{
    for (int k = 0; k < RECORDS; k++)
        while (swarm->meetings[k].open)
            advance_meeting(swarm, &swarm->meetings[k]);
}

/* sum (COUNT) = Σ x_i, or Σ x̃_i, added to what `sum` holds. */
static void add_vectors(struct swarm *swarm, bool tilde, double *sum)
{
    for (int i = 0; i < WORKERS; i++) {
        const float *vector = tilde ? x_tilde_of(&swarm->replicas[i]) : swarm->replicas[i].x;
        for (size_t k = 0; k < COUNT; k++)
            sum[k] += (double)vector[k];
    }
}

/* Small integers, and few enough events that no sum needs more than 24 bits. */
static void fill_dyadic(struct swarm *swarm)
{
    struct random_stream stream = random_stream(3, RANDOM_TEST, 0, 0);
    for (int i = 0; i < WORKERS; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            swarm->replicas[i].x[k] = (float)random_below(&stream, 16) - 8;
            x_tilde_of(&swarm->replicas[i])[k] = (float)random_below(&stream, 16) - 8;
        }
    }
}

/* Without advances, meetings conserve Σx and Σx̃ each, to the bit, however late their sides are applied. */
static void test_meetings_conserve_both_sums(void **state)
{
    (void)state;
    struct swarm swarm;
    struct algo_params params = {.count = COUNT, .eta = 0, .alpha = 0.5, .alpha_tilde = 1.25};
    swarm_init(&swarm, "acid", &params);
    fill_dyadic(&swarm);
    double x_before[COUNT] = {0}, tilde_before[COUNT] = {0}, x_after[COUNT] = {0}, tilde_after[COUNT] = {0};
    add_vectors(&swarm, false, x_before);
    add_vectors(&swarm, true, tilde_before);
    for (int event = 0; event < 40; event++)
        advance_meeting(&swarm, &swarm.meetings[random_below(&swarm.stream, RECORDS)]);
    finish_meetings(&swarm);
    add_vectors(&swarm, false, x_after);
    add_vectors(&swarm, true, tilde_after);
    assert_memory_equal(x_after, x_before, sizeof x_before);
    assert_memory_equal(tilde_after, tilde_before, sizeof tilde_before);
    swarm_release(&swarm);
}

/* With advances in between, Σ(x + x̃) is what stays; a long pause (mix = ½, exactly) keeps the numbers dyadic. */
static void test_advances_conserve_the_total(void **state)
{
    (void)state;
    struct swarm swarm;
    struct algo_params params = {.count = COUNT, .eta = 1000, .alpha = 0.5, .alpha_tilde = 1.25};
    swarm_init(&swarm, "acid", &params);
    fill_dyadic(&swarm);
    double before[COUNT] = {0}, after[COUNT] = {0}, x_before[COUNT] = {0}, x_after[COUNT] = {0};
    add_vectors(&swarm, false, before);
    add_vectors(&swarm, true, before);
    add_vectors(&swarm, false, x_before);
    for (int event = 0; event < 24; event++) {
        advance_meeting(&swarm, &swarm.meetings[random_below(&swarm.stream, RECORDS)]);
        swarm.t[random_below(&swarm.stream, WORKERS)] += 1;
    }
    finish_meetings(&swarm);
    add_vectors(&swarm, false, after);
    add_vectors(&swarm, true, after);
    add_vectors(&swarm, false, x_after);
    assert_memory_equal(after, before, sizeof before);
    assert_memory_not_equal(x_after, x_before, sizeof x_before); /* the events were not idle */
    swarm_release(&swarm);
}

/* A gradient event of a random worker; adds what it did to x and x̃ together, −2γu, to `applied`. Without Nesterov u is
 * the momentum vector, and γ is a power of two, so that the update is known exactly. */
static void random_update(struct swarm *swarm, uint64_t event, double *applied)
{
    const double learning_rate = 0x1p-6;
    float gradient[COUNT];
    int worker = (int)random_below(&swarm->stream, WORKERS);
    struct replica_under_test *replica = &swarm->replicas[worker];
    fill_normal(gradient, COUNT, 50, event);
    replica_step(replica, swarm->t[worker], gradient, learning_rate);
    const float *momentum = replica->ops->vector(replica->algo, "momentum");
    for (size_t k = 0; k < COUNT; k++)
        applied[k] -= 2 * learning_rate * (double)momentum[k];
}

/* ‖Σ(x+x̃) − Σ₀ − updates‖₂ ≤ 2⁻²⁴·√events·‖Σ‖₂: an event rounds a few elements of size ‖x_i‖ by 2⁻²⁴ at most. */
static void test_total_changes_by_updates_only(void **state)
{
    (void)state;
    enum { EVENTS = 10000 };
    struct swarm swarm;
    struct algo_params params = {.count = COUNT,
                                 .decayed = DECAYED,
                                 .eta = eta,
                                 .alpha = 0.5,
                                 .alpha_tilde = alpha_tilde,
                                 .optimizer = {.momentum = 0.9, .weight_decay = 1e-3, .clip_norm = 1}};
    swarm_init(&swarm, "acid", &params);
    double expected[COUNT] = {0}, total[COUNT] = {0}, error = 0, size = 0;
    add_vectors(&swarm, false, expected);
    add_vectors(&swarm, true, expected);
    for (uint64_t event = 0; event < EVENTS; event++) {
        swarm.t[random_below(&swarm.stream, WORKERS)] += random_exponential(&swarm.stream);
        if (random_below(&swarm.stream, 4) == 0)
            random_update(&swarm, event, expected);
        else
            advance_meeting(&swarm, &swarm.meetings[random_below(&swarm.stream, RECORDS)]);
    }
    finish_meetings(&swarm);
    add_vectors(&swarm, false, total);
    add_vectors(&swarm, true, total);
    for (size_t k = 0; k < COUNT; k++) {
        error += (total[k] - expected[k]) * (total[k] - expected[k]);
        size += total[k] * total[k];
    }
    double bound = 0x1p-24 * sqrt(EVENTS) * sqrt(size);
    print_message("error of the total after %d events: %.3g, bound %.3g\n", (int)EVENTS, sqrt(error), bound);
    assert_true(sqrt(error) <= bound);
    swarm_release(&swarm);
}

/* The same random events, twice: acid at η = 0 and α̃ = α is gossip. */
static void test_acid_without_momentum_is_gossip(void **state)
{
    (void)state;
    struct swarm acid, gossip;
    struct algo_params params = {.count = COUNT,
                                 .decayed = DECAYED,
                                 .eta = 0,
                                 .alpha = 0.5,
                                 .alpha_tilde = 0.5,
                                 .optimizer = {.momentum = 0.9, .weight_decay = 1e-3, .clip_norm = 1}};
    swarm_init(&acid, "acid", &params);
    swarm_init(&gossip, "gossip", &params);
    struct swarm *both[] = {&acid, &gossip};
    for (int which = 0; which < 2; which++) {
        struct swarm *swarm = both[which];
        double ignored[COUNT] = {0};
        for (uint64_t event = 0; event < 2000; event++) {
            swarm->t[random_below(&swarm->stream, WORKERS)] += random_exponential(&swarm->stream);
            if (random_below(&swarm->stream, 4) == 0)
                random_update(swarm, event, ignored);
            else
                advance_meeting(swarm, &swarm->meetings[random_below(&swarm->stream, RECORDS)]);
        }
        finish_meetings(swarm);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_memory_equal(acid.replicas[i].x, gossip.replicas[i].x, COUNT * sizeof(float));
        assert_memory_equal(x_tilde_of(&acid.replicas[i]), acid.replicas[i].x, COUNT * sizeof(float));
    }
    swarm_release(&acid);
    swarm_release(&gossip);
}

/* One worker: every algorithm is plain SGD, whatever η, since x̃ = x stays so to the last bit. */
static void test_one_worker_is_plain_sgd(void **state)
{
    (void)state;
    struct fixture fixture = fixture_create();
    float initial[COUNT], gradient[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    for (int variant = 0; variant < 4; variant++) {
        struct algo_params params = {
            .count = COUNT,
            .decayed = DECAYED,
            .eta = variant % 2 ? eta : 0,
            .alpha = 0.5,
            .alpha_tilde = alpha_tilde,
            .optimizer = {.momentum = 0.9, .weight_decay = 1e-3, .clip_norm = 1, .nesterov = variant / 2}};
        struct replica_under_test sgd = replica_create(&fixture, "allreduce", &params, initial);
        struct replica_under_test acid = replica_create(&fixture, "acid", &params, initial);
        double t = 0;
        struct random_stream stream = random_stream(11, RANDOM_TEST, 0, 0);
        for (uint64_t step = 0; step < 300; step++) {
            t += random_exponential(&stream);
            fill_normal(gradient, COUNT, 1, step);
            replica_step(&sgd, t, gradient, 0.05);
            replica_step(&acid, t, gradient, 0.05);
        }
        assert_memory_equal(acid.x, sgd.x, sizeof initial);
        assert_memory_equal(x_tilde_of(&acid), sgd.x, sizeof initial);
        replica_destroy(&sgd);
        replica_destroy(&acid);
    }
    fixture_destroy(&fixture);
}

/* Ten advances in a row equal one long one: each rounds mix, a difference, a product and a sum of size |x| + |x̃|. */
static void test_advances_compose(void **state)
{
    (void)state;
    enum { PIECES = 10 };
    struct fixture fixture = fixture_create();
    float initial[COUNT], other[COUNT];
    fill_normal(initial, COUNT, 0, 0);
    fill_normal(other, COUNT, 1, 0);
    struct algo_params params = {.count = COUNT, .eta = eta, .alpha = 0.5, .alpha_tilde = alpha_tilde};
    struct replica_under_test pieces = replica_create(&fixture, "acid", &params, initial);
    struct replica_under_test whole = replica_create(&fixture, "acid", &params, initial);
    memcpy(x_tilde_of(&pieces), other, sizeof other);
    memcpy(x_tilde_of(&whole), other, sizeof other);
    for (int i = 1; i <= PIECES; i++)
        replica_meet(&pieces, 0.3 * i, other, other); /* no difference: an advance alone */
    replica_meet(&whole, 0.3 * PIECES, other, other);
    for (size_t k = 0; k < COUNT; k++) {
        double bound = 4 * PIECES * 0x1p-24 * (fabs((double)initial[k]) + fabs((double)other[k]));
        assert_true(fabs((double)pieces.x[k] - (double)whole.x[k]) <= bound);
        assert_true(fabs((double)x_tilde_of(&pieces)[k] - (double)x_tilde_of(&whole)[k]) <= bound);
    }
    assert_memory_not_equal(whole.x, initial, sizeof initial);
    replica_destroy(&pieces);
    replica_destroy(&whole);
    fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meetings_conserve_both_sums),   cmocka_unit_test(test_advances_conserve_the_total),
        cmocka_unit_test(test_total_changes_by_updates_only), cmocka_unit_test(test_acid_without_momentum_is_gossip),
        cmocka_unit_test(test_one_worker_is_plain_sgd),       cmocka_unit_test(test_advances_compose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
