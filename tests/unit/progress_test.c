/* runtime/mpi/progress.h: words that only grow, and how they spread over a graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/random.h"
#include "runtime/mpi/progress.h"

enum { WORKERS_MAX = 12 };

static void a_word_says_gradients_and_done(void **state)
{
    (void)state;
    static const uint64_t gradients[] = {0, 1, 2, 1000, UINT64_C(1) << 40, (UINT64_C(1) << 61) - 2};
    assert_int_equal(progress_gradients(0), 0);
    assert_false(progress_done(0));
    for (size_t k = 0; k < sizeof gradients / sizeof gradients[0]; k++)
        for (int done = 0; done < 2; done++) {
            uint64_t word = progress_word(gradients[k], done);
            assert_true(word > 0); /* 0 means that nothing is known */
            assert_int_equal(progress_gradients(word), gradients[k]);
            assert_int_equal(progress_done(word), done);
        }
}

static void words_grow_with_gradients_then_done(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t gradients = 0; gradients < 100; gradients++)
        for (int done = 0; done < 2; done++) {
            uint64_t word = progress_word(gradients, done);
            assert_true(word > last);
            last = word;
        }
}

/* Whoever leaves says so before it is done, or never; whoever hears of it knows, through others too. */
static void leaving_is_told_before_the_end(void **state)
{
    (void)state;
    struct progress first, second;
    progress_init(&first, 0, 2);
    progress_init(&second, 1, 2);
    progress_set(&first, 5, false);
    assert_false(progress_leaving(&first));
    uint64_t before = first.words[0];
    progress_leave(&first);
    assert_true(progress_leaving(&first));
    assert_true(progress_set(&first, 5, false)); /* is news */
    assert_true(first.words[0] > before);
    assert_int_equal(progress_gradients(first.words[0]), 5);
    assert_false(progress_done(first.words[0]));
    progress_set(&second, 7, true);
    progress_leave(&second); /* too late: it has said its last word */
    assert_false(progress_set(&second, 7, true));
    assert_false(progress_leaving(&second));
    assert_true(progress_merge(&second, first.words));
    assert_true(progress_leaving(&second));
    assert_true(progress_set(&first, 5, true));
    assert_true(progress_merge(&second, first.words));
    assert_true(progress_leaving(&second) && progress_all_done(&second));
    assert_int_equal(progress_sum(&second), 12);
    progress_release(&first);
    progress_release(&second);
}

static void a_run_that_goes_on_knows_of_everybody(void **state)
{
    (void)state;
    const uint64_t gradients[] = {3, 0, 9};
    struct progress progress;
    progress_init(&progress, 2, 3);
    progress_resume(&progress, gradients);
    assert_int_equal(progress_sum(&progress), 12);
    assert_false(progress_leaving(&progress));
    assert_false(progress_all_done(&progress));
    assert_false(progress_set(&progress, 9, false));
    progress_release(&progress);
}

static void setting_tells_whether_anything_changed(void **state)
{
    (void)state;
    struct progress progress;
    progress_init(&progress, 1, 3);
    assert_int_equal(progress_sum(&progress), 0);
    assert_false(progress_all_done(&progress));
    assert_true(progress_set(&progress, 0, false)); /* "none yet" is news */
    assert_false(progress_set(&progress, 0, false));
    assert_true(progress_set(&progress, 7, false));
    assert_true(progress_set(&progress, 7, true));
    assert_false(progress_set(&progress, 7, true));
    assert_int_equal(progress_sum(&progress), 7);
    assert_int_equal(progress.words[0] | progress.words[2], 0);
    progress_release(&progress);
}

static void merging_keeps_the_largest_of_each(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(1, RANDOM_TEST, 2, 0);
    for (int round = 0; round < 2000; round++) {
        struct progress progress;
        uint64_t heard[WORKERS_MAX], expected[WORKERS_MAX];
        bool news = false;
        progress_init(&progress, 4, WORKERS_MAX);
        for (int i = 0; i < WORKERS_MAX; i++) {
            progress.words[i] = random_below(&stream, 4);
            heard[i] = random_below(&stream, 4);
            expected[i] = heard[i] > progress.words[i] && i != 4 ? heard[i] : progress.words[i];
            news |= expected[i] != progress.words[i];
        }
        assert_int_equal(progress_merge(&progress, heard), news);
        assert_memory_equal(progress.words, expected, sizeof expected);
        assert_false(progress_merge(&progress, heard));
        progress_release(&progress);
    }
}

static void all_are_done_when_each_is(void **state)
{
    (void)state;
    for (int missing = -1; missing < WORKERS_MAX; missing++) {
        struct progress progress;
        uint64_t heard[WORKERS_MAX];
        progress_init(&progress, 0, WORKERS_MAX);
        for (int i = 0; i < WORKERS_MAX; i++)
            heard[i] = progress_word((uint64_t)i, i != missing);
        progress_set(&progress, 0, missing != 0);
        progress_merge(&progress, heard);
        assert_int_equal(progress_all_done(&progress), missing == -1);
        assert_int_equal(progress_sum(&progress), WORKERS_MAX * (WORKERS_MAX - 1) / 2);
        progress_release(&progress);
    }
}

static void a_worker_alone_knows_everything(void **state)
{
    (void)state;
    struct progress progress;
    progress_init(&progress, 0, 1);
    progress_set(&progress, 9, true);
    assert_int_equal(progress_sum(&progress), 9);
    assert_true(progress_all_done(&progress));
    progress_release(&progress);
}

/* --- spreading --- */

struct crowd {
    int worker_count;
    bool edges[WORKERS_MAX][WORKERS_MAX];
    int distances[WORKERS_MAX][WORKERS_MAX];
    struct progress members[WORKERS_MAX];
};

/* A random tree and some more edges: connected, of any diameter. */
static void crowd_init(struct crowd *crowd, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 3, 0);
    *crowd = (struct crowd){.worker_count = 2 + (int)random_below(&stream, WORKERS_MAX - 1)};
    int worker_count = crowd->worker_count, more = (int)random_below(&stream, (uint32_t)worker_count);
    for (int i = 0; i < worker_count; i++) {
        progress_init(&crowd->members[i], i, worker_count);
        int a = i, b = i > 0 ? (int)random_below(&stream, (uint32_t)i) : i;
        for (int k = 0; k < (i < more ? 2 : 1); k++) {
            crowd->edges[a][b] = crowd->edges[b][a] = true;
            a = (int)random_below(&stream, (uint32_t)worker_count);
        }
    }
    for (int i = 0; i < worker_count; i++)
        for (int j = 0; j < worker_count; j++)
            crowd->distances[i][j] = i == j ? 0 : crowd->edges[i][j] ? 1 : worker_count;
    for (int k = 0; k < worker_count; k++)
        for (int i = 0; i < worker_count; i++)
            for (int j = 0; j < worker_count; j++)
                if (crowd->distances[i][k] + crowd->distances[k][j] < crowd->distances[i][j])
                    crowd->distances[i][j] = crowd->distances[i][k] + crowd->distances[k][j];
}

static void crowd_release(struct crowd *crowd)
{
    for (int i = 0; i < crowd->worker_count; i++)
        progress_release(&crowd->members[i]);
}

/* Everybody hears what its neighbors knew when the round began; true if that was news to anybody. */
static bool crowd_round(struct crowd *crowd)
{
    uint64_t before[WORKERS_MAX][WORKERS_MAX];
    bool news = false;
    for (int i = 0; i < crowd->worker_count; i++)
        memcpy(before[i], crowd->members[i].words, (size_t)crowd->worker_count * sizeof before[i][0]);
    for (int i = 0; i < crowd->worker_count; i++)
        for (int j = 0; j < crowd->worker_count; j++)
            if (i != j && crowd->edges[i][j])
                news |= progress_merge(&crowd->members[i], before[j]);
    return news;
}

static void news_travels_one_edge_a_round(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct crowd crowd;
        crowd_init(&crowd, seed);
        int worker_count = crowd.worker_count, diameter = 0;
        uint64_t total = 0;
        for (int i = 0; i < worker_count; i++) {
            progress_set(&crowd.members[i], 3 + (uint64_t)i * i, true);
            total += 3 + (uint64_t)i * i;
            for (int j = 0; j < worker_count; j++)
                if (crowd.distances[i][j] > diameter)
                    diameter = crowd.distances[i][j];
        }
        for (int round = 0; round <= diameter; round++) {
            for (int i = 0; i < worker_count; i++)
                for (int j = 0; j < worker_count; j++)
                    assert_int_equal(crowd.members[i].words[j] != 0, crowd.distances[i][j] <= round);
            assert_int_equal(crowd_round(&crowd), round < diameter);
        }
        for (int i = 0; i < worker_count; i++) {
            assert_true(progress_all_done(&crowd.members[i]));
            assert_int_equal(progress_sum(&crowd.members[i]), total);
        }
        crowd_release(&crowd);
    }
}

/* Old news may arrive after newer, and everybody goes on meanwhile: nobody's sum ever shrinks or exceeds the truth. */
static void sums_only_grow_towards_the_truth(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct crowd crowd;
        crowd_init(&crowd, seed);
        struct random_stream stream = random_stream(seed, RANDOM_TEST, 4, 0);
        uint32_t worker_count = (uint32_t)crowd.worker_count;
        uint64_t gradients[WORKERS_MAX] = {0}, truth = 0, on_the_way[WORKERS_MAX][WORKERS_MAX] = {0};
        for (int step = 0; step < 1000; step++) {
            uint32_t i = random_below(&stream, worker_count), j = random_below(&stream, worker_count);
            struct progress *progress = &crowd.members[i];
            uint64_t before = progress_sum(progress), known[WORKERS_MAX];
            memcpy(known, progress->words, worker_count * sizeof known[0]);
            if (random_below(&stream, 2) == 0) {
                truth++;
                assert_true(progress_set(progress, ++gradients[i], false));
            }
            if (crowd.edges[i][j])
                progress_merge(progress, random_below(&stream, 2) == 0 ? crowd.members[j].words : on_the_way[j]);
            if (random_below(&stream, 3) == 0)
                memcpy(on_the_way[i], known, worker_count * sizeof known[0]);
            assert_true(progress_sum(progress) >= before && progress_sum(progress) <= truth);
            for (uint32_t k = 0; k < worker_count; k++)
                assert_true(progress->words[k] >= known[k] && progress_gradients(progress->words[k]) <= gradients[k]);
        }
        while (crowd_round(&crowd))
            ;
        for (uint32_t i = 0; i < worker_count; i++)
            assert_int_equal(progress_sum(&crowd.members[i]), truth);
        crowd_release(&crowd);
    }
}

/* Whatever others, who do not know of the death yet, say of it afterwards; and all agree in the end. */
static void the_dead_are_done_and_quiet(void **state)
{
    (void)state;
    struct progress first, second;
    progress_init(&first, 0, 3);
    progress_init(&second, 1, 3);
    uint64_t told[3] = {0, 0, progress_word(12, false)};
    progress_bury(&first, 2); /* nothing is known of it yet */
    progress_merge(&second, told);
    assert_true(progress_merge(&first, second.words));
    assert_int_equal(progress_gradients(first.words[2]), 12);
    assert_true(progress_done(first.words[2]));
    progress_bury(&second, 2);
    progress_set(&first, 7, true);
    progress_set(&second, 8, true);
    progress_merge(&first, second.words);
    progress_merge(&second, first.words);
    assert_true(progress_all_done(&first) && progress_all_done(&second));
    assert_int_equal(progress_sum(&first), 27);
    assert_memory_equal(first.words, second.words, sizeof told);
    uint64_t before = first.words[0];
    progress_quieten(&first);
    assert_true(progress_set(&first, 7, true));
    assert_true(first.words[0] > before);
    assert_false(progress_all_quiet(&first));
    progress_quieten(&second);
    progress_set(&second, 8, true);
    progress_merge(&first, second.words);
    assert_true(progress_all_quiet(&first));
    progress_release(&first);
    progress_release(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_says_gradients_and_done),
        cmocka_unit_test(words_grow_with_gradients_then_done),
        cmocka_unit_test(leaving_is_told_before_the_end),
        cmocka_unit_test(a_run_that_goes_on_knows_of_everybody),
        cmocka_unit_test(setting_tells_whether_anything_changed),
        cmocka_unit_test(merging_keeps_the_largest_of_each),
        cmocka_unit_test(all_are_done_when_each_is),
        cmocka_unit_test(a_worker_alone_knows_everything),
        cmocka_unit_test(news_travels_one_edge_a_round),
        cmocka_unit_test(sums_only_grow_towards_the_truth),
        cmocka_unit_test(the_dead_are_done_and_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
