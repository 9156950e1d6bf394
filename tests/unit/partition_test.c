/* data/partition.h: shares are disjoint and complete, seeded, and the same seen from every worker. */
#include "data/partition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"

enum { COUNT = 1003, CLASSES = 7, MESSAGE_BYTES = 1024 };

static int32_t labels[COUNT]; /* set once by main */

static const struct dataset set = {.count = COUNT, .class_count = CLASSES, .labels = labels};

static struct partition create(const char *name, double alpha, int worker, int workers, double validation,
                               uint64_t seed, struct partition *held_out)
{
    struct partition_params params = {.name = name,
                                      .alpha = alpha,
                                      .worker = worker,
                                      .worker_count = workers,
                                      .validation = validation,
                                      .seed = seed};
    struct partition out = {0};
    assert_int_equal(partition_create(&params, &set, &out, held_out), STATUS_OK);
    return out;
}

/* Count each picture of an ascending partition in `seen`. */
static void mark(const struct partition *partition, int *seen)
{
    for (size_t i = 0; i < partition->count; i++) {
        assert_true(partition->indices[i] < COUNT);
        assert_true(i == 0 || partition->indices[i - 1] < partition->indices[i]);
        seen[partition->indices[i]]++;
    }
}

/* All shares and the validation pictures together hold every picture once. */
static void check_complete(const char *name, double alpha, int workers, double validation)
{
    int seen[COUNT] = {0};
    struct partition first_held_out = {0};
    for (int w = 0; w < workers; w++) {
        struct partition held_out;
        struct partition share = create(name, alpha, w, workers, validation, 11, &held_out);
        assert_true(share.count > 0);
        mark(&share, seen);
        partition_release(&share);
        if (w == 0) {
            mark(&held_out, seen);
            first_held_out = held_out;
            continue;
        }
        assert_int_equal(held_out.count, first_held_out.count);
        assert_memory_equal(held_out.indices, first_held_out.indices, held_out.count * sizeof *held_out.indices);
        partition_release(&held_out);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(first_held_out.count, (size_t)(validation * COUNT + 0.5));
    partition_release(&first_held_out);
}

static void shares_are_disjoint_and_complete(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 16; workers += 5)
        for (int validated = 0; validated < 2; validated++) {
            check_complete("iid", 0, workers, validated * 0.1);
            check_complete("dirichlet", 0.5, workers, validated * 0.1);
        }
    check_complete("iid", 0, COUNT, 0);
    check_complete("shared", 0, 1, 0.25);
}

static void iid_shares_are_equal(void **state)
{
    (void)state;
    for (int w = 0; w < 4; w++) {
        struct partition share = create("iid", 0, w, 4, 0, 1, NULL);
        assert_in_range(share.count, 250, 251);
        partition_release(&share);
    }
}

static void shared_is_the_same_for_all(void **state)
{
    (void)state;
    struct partition left = create("shared", 0, 0, 3, 0.1, 1, NULL), right = create("shared", 0, 2, 3, 0.1, 1, NULL);
    assert_int_equal(left.count, COUNT - 100);
    assert_int_equal(left.count, right.count);
    assert_memory_equal(left.indices, right.indices, left.count * sizeof *left.indices);
    partition_release(&right);
    partition_release(&left);
}

static void seed_decides(void **state)
{
    (void)state;
    static const char *const names[] = {"iid", "dirichlet"};
    for (int i = 0; i < 2; i++) {
        struct partition one = create(names[i], 1, 1, 3, 0, 1, NULL), again = create(names[i], 1, 1, 3, 0, 1, NULL);
        struct partition other = create(names[i], 1, 1, 3, 0, 2, NULL);
        assert_int_equal(one.count, again.count);
        assert_memory_equal(one.indices, again.indices, one.count * sizeof *one.indices);
        assert_true(one.count != other.count ||
                    memcmp(one.indices, other.indices, one.count * sizeof *one.indices) != 0);
        partition_release(&other);
        partition_release(&again);
        partition_release(&one);
    }
}

/* Largest share that one worker of four has of a class, averaged over classes and seeds. */
static double concentration(double alpha)
{
    double sum = 0;
    int seeds = 0;
    for (uint64_t seed = 0; seeds < 20; seed++) {
        int counts[4][CLASSES] = {{0}}, sizes[CLASSES] = {0};
        struct partition_params params = {.name = "dirichlet", .alpha = alpha, .worker_count = 4, .seed = seed};
        bool whole = true;
        for (params.worker = 0; params.worker < 4 && whole; params.worker++) {
            struct partition share;
            whole = partition_create(&params, &set, &share, NULL) == STATUS_OK;
            for (size_t i = 0; whole && i < share.count; i++) {
                counts[params.worker][labels[share.indices[i]]]++;
                sizes[labels[share.indices[i]]]++;
            }
            if (whole)
                partition_release(&share);
        }
        if (!whole)
            continue;
        seeds++;
        for (int c = 0; c < CLASSES; c++) {
            int most = 0;
            for (int w = 0; w < 4; w++)
                most = counts[w][c] > most ? counts[w][c] : most;
            sum += (double)most / sizes[c];
        }
    }
    return sum / (20 * CLASSES);
}

/* A large α gives everybody a quarter of each class; the maximum of four uniform spacings (α = 1) has mean 25/48. */
static void alpha_sets_the_skew(void **state)
{
    (void)state;
    assert_true(concentration(10000) < 0.27);
    double middle = concentration(1);
    assert_true(middle > 25.0 / 48 - 0.05 && middle < 25.0 / 48 + 0.05);
}

/* The message goes to a file while `call` runs. */
static enum status create_captured(const struct partition_params *params, char message[MESSAGE_BYTES])
{
    struct partition out = {0};
    FILE *capture = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    enum status status = partition_create(params, &set, &out, NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(capture);
    message[fread(message, 1, MESSAGE_BYTES - 1, capture)] = '\0';
    fclose(capture);
    assert_null(out.indices);
    return status;
}

static void empty_shares_are_refused(void **state)
{
    (void)state;
    char message[MESSAGE_BYTES], first[MESSAGE_BYTES];
    struct partition_params params = {.name = "iid", .worker_count = COUNT + 1};
    assert_int_equal(create_captured(&params, message), STATUS_USAGE);
    assert_non_null(strstr(message, "1003 training pictures cannot be shared out to 1004 workers"));
    params = (struct partition_params){.name = "shared", .worker_count = 1, .validation = 0.9999};
    assert_int_equal(create_captured(&params, message), STATUS_USAGE);
    assert_non_null(strstr(message, "data.validation: a share of 0.9999 keeps back all 1003"));
    params = (struct partition_params){.name = "striped", .worker_count = 1};
    assert_int_equal(create_captured(&params, message), STATUS_USAGE);
    assert_non_null(strstr(message, "no partition \"striped\"; known are shared | iid | dirichlet"));
    params = (struct partition_params){.name = "dirichlet", .alpha = 1e-4, .worker_count = 16};
    assert_int_equal(create_captured(&params, first), STATUS_USAGE); /* 7 classes go to 7 workers at most */
    assert_non_null(strstr(first, "would get no picture from dirichlet with data.alpha 0.0001"));
    params.worker = 9; /* everybody says the same */
    assert_int_equal(create_captured(&params, message), STATUS_USAGE);
    assert_string_equal(message, first);
}

/* Tiny α: every gamma draw underflows for some class, and the class still goes to one worker, whole. */
static void tiny_alpha_gives_whole_classes(void **state)
{
    (void)state;
    struct partition share = {0};
    int seen[CLASSES] = {0};
    struct partition_params params = {.name = "dirichlet", .alpha = 1e-4, .worker_count = 1};
    assert_int_equal(partition_create(&params, &set, &share, NULL), STATUS_OK);
    assert_int_equal(share.count, COUNT);
    partition_release(&share);
    params.worker_count = 2;
    for (params.seed = 0; partition_create(&params, &set, &share, NULL) != STATUS_OK; params.seed++)
        ;
    for (size_t i = 0; i < share.count; i++)
        seen[labels[share.indices[i]]]++;
    for (int c = 0; c < CLASSES; c++)
        assert_true(seen[c] == 0 || seen[c] == COUNT / CLASSES + (c < COUNT % CLASSES));
    partition_release(&share);
}

static void order_is_a_function_of_its_name(void **state)
{
    (void)state;
    struct partition share = create("iid", 0, 1, 4, 0, 1, NULL);
    uint32_t *order = calloc(share.count, sizeof *order), *expected = calloc(share.count, sizeof *expected);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        int seen[COUNT] = {0};
        partition_shuffle(&share, 9, 1, epoch, order);
        memcpy(expected, share.indices, share.count * sizeof *expected);
        struct random_stream stream = random_stream(9, RANDOM_ORDER, 1, epoch);
        random_shuffle(&stream, expected, share.count);
        assert_memory_equal(order, expected, share.count * sizeof *order);
        for (size_t i = 0; i < share.count; i++)
            seen[order[i]]++;
        for (size_t i = 0; i < share.count; i++)
            assert_int_equal(seen[share.indices[i]], 1);
    }
    partition_shuffle(&share, 9, 1, 0, order); /* the last `expected` is epoch 2's */
    assert_true(memcmp(order, expected, share.count * sizeof *order) != 0);
    partition_shuffle(&share, 9, 2, 2, order);
    assert_true(memcmp(order, expected, share.count * sizeof *order) != 0);
    partition_shuffle(&share, 8, 1, 2, order);
    assert_true(memcmp(order, expected, share.count * sizeof *order) != 0);
    free(expected);
    free(order);
    partition_release(&share);
}

/* --- sets that lie in blocks --- */

enum { BLOCKS = 40 };

/* Blocks of 1 to 49 pictures; the set has COUNT of them in all. */
static uint32_t block_ends[BLOCKS]; /* set once by main */

static void make_blocks(void)
{
    for (uint32_t b = 0; b < BLOCKS; b++)
        block_ends[b] = (b > 0 ? block_ends[b - 1] : 0) + 1 + b * 17 % 49;
    block_ends[BLOCKS - 1] = COUNT;
    assert_true(block_ends[BLOCKS - 2] < COUNT);
}

static struct dataset set_in_blocks(size_t pool)
{
    return (struct dataset){.count = COUNT,
                            .class_count = CLASSES,
                            .labels = labels,
                            .block_ends = block_ends,
                            .block_count = BLOCKS,
                            .pool = pool};
}

static struct partition create_in_blocks(const char *name, size_t pool, int worker, int workers)
{
    struct dataset blocks = set_in_blocks(pool);
    struct partition_params params = {
        .name = name, .alpha = 0.3, .worker = worker, .worker_count = workers, .validation = 0.1, .seed = 21};
    struct partition out = {0};
    assert_int_equal(partition_create(&params, &blocks, &out, NULL), STATUS_OK);
    return out;
}

/* Of the set. */
static int block_of(uint32_t index)
{
    int b = 0;
    while (block_ends[b] <= index)
        b++;
    return b;
}

static const struct {
    const char *name;
    int worker, workers;
} shares[] = {{"shared", 0, 1}, {"iid", 1, 4}, {"dirichlet", 2, 4}, {"iid", 0, 100}};

enum { SHARES = sizeof shares / sizeof shares[0] };

/* The worker's blocks are those of the set that it has pictures of, and no others. */
static void blocks_of_a_share(void **state)
{
    (void)state;
    for (int s = 0; s < SHARES; s++) {
        struct partition share = create_in_blocks(shares[s].name, 3, shares[s].worker, shares[s].workers);
        size_t changes = 1;
        assert_int_equal(share.pool, 3);
        for (size_t i = 1; i < share.count; i++)
            if (block_of(share.indices[i]) != block_of(share.indices[i - 1])) {
                assert_int_equal(share.block_ends[changes - 1], i);
                changes++;
            }
        assert_int_equal(share.block_count, changes);
        assert_int_equal(share.block_ends[changes - 1], share.count);
        partition_release(&share);
        assert_null(share.block_ends);
    }
}

/* Which of the first `limit` places of the order are of each block of the set. */
static void count_blocks(const uint32_t *order, size_t limit, int counts[BLOCKS])
{
    memset(counts, 0, BLOCKS * sizeof counts[0]);
    for (size_t i = 0; i < limit; i++)
        counts[block_of(order[i])]++;
}

/* Pool after pool: so many blocks, with all their pictures, before the next begins. */
static void expect_pools(const struct partition *share, const uint32_t *order)
{
    int all[BLOCKS], begun[BLOCKS];
    size_t at = 0;
    count_blocks(share->indices, share->count, all);
    for (size_t left = share->block_count; left > 0;) {
        size_t pool = left < share->pool ? left : share->pool, distinct = 0, end = at;
        memset(begun, 0, sizeof begun);
        for (size_t i = at; i < share->count && distinct < pool; i++) {
            distinct += begun[block_of(order[i])] == 0;
            if (begun[block_of(order[i])]++ == 0)
                end += (size_t)all[block_of(order[i])];
        }
        assert_int_equal(distinct, pool);
        memset(begun, 0, sizeof begun);
        for (size_t i = at; i < end; i++)
            begun[block_of(order[i])]++;
        for (int b = 0; b < BLOCKS; b++)
            assert_true(begun[b] == 0 || begun[b] == all[b]);
        at = end;
        left -= pool;
    }
    assert_int_equal(at, share->count);
}

static void expect_permutation(const struct partition *share, const uint32_t *order)
{
    int seen[COUNT] = {0};
    for (size_t i = 0; i < share->count; i++)
        seen[order[i]]++;
    for (size_t i = 0; i < share->count; i++)
        assert_int_equal(seen[share->indices[i]], 1);
}

static void order_goes_pool_by_pool(void **state)
{
    (void)state;
    static const size_t pools[] = {1, 3, 4, 39, 40, 1000};
    uint32_t order[COUNT];
    for (size_t p = 0; p < sizeof pools / sizeof pools[0]; p++)
        for (int s = 0; s < SHARES; s++) {
            struct partition share = create_in_blocks(shares[s].name, pools[p], shares[s].worker, shares[s].workers);
            for (uint64_t epoch = 0; epoch < 5; epoch++) {
                partition_shuffle(&share, 4, shares[s].worker, epoch, order);
                expect_permutation(&share, order);
                expect_pools(&share, order);
            }
            partition_release(&share);
        }
}

static void order_in_blocks_is_a_function_of_its_name(void **state)
{
    (void)state;
    struct partition share = create_in_blocks("shared", 4, 0, 1);
    uint32_t order[COUNT], other[COUNT];
    size_t bytes = share.count * sizeof order[0];
    partition_shuffle(&share, 9, 1, 5, order);
    partition_shuffle(&share, 9, 1, 5, other);
    assert_memory_equal(order, other, bytes);
    partition_shuffle(&share, 9, 1, 6, other);
    assert_true(memcmp(order, other, bytes) != 0);
    partition_shuffle(&share, 9, 2, 5, other);
    assert_true(memcmp(order, other, bytes) != 0);
    partition_shuffle(&share, 10, 1, 5, other);
    assert_true(memcmp(order, other, bytes) != 0);
    partition_release(&share);
}

enum { EVEN_BLOCKS = 192, SIZE = 20 };

/* At most so many blocks, of equal size, for what is counted below. */
struct even {
    struct dataset set;
    uint32_t ends[EVEN_BLOCKS];
    int32_t labels[EVEN_BLOCKS * SIZE];
    struct partition partition;
    uint32_t order[EVEN_BLOCKS * SIZE];
};

static struct even *create_even(size_t blocks, size_t size, size_t pool)
{
    const struct partition_params params = {.name = "shared", .worker_count = 1};
    struct even *even = calloc(1, sizeof *even);
    even->set = (struct dataset){.count = blocks * size, .class_count = 1, .labels = even->labels};
    even->set.block_ends = even->ends;
    even->set.block_count = blocks;
    even->set.pool = pool;
    for (size_t b = 0; b < blocks; b++)
        even->ends[b] = (uint32_t)((b + 1) * size);
    assert_int_equal(partition_create(&params, &even->set, &even->partition, NULL), STATUS_OK);
    return even;
}

static void free_even(struct even *even)
{
    partition_release(&even->partition);
    free(even);
}

/* Every block is at every place of the epoch as often as another, and so is every picture within its pool: in 4000
 * epochs, 200 times each of 20; five deviations are 69. */
static void every_place_is_as_likely(void **state)
{
    (void)state;
    enum { PLACES = 20, EPOCHS = 4000 };
    static int blocks[PLACES][PLACES], pictures[PLACES][PLACES];
    struct even *by_one = create_even(PLACES, 1, 1), *in_pool = create_even(4, 5, 4);
    memset(blocks, 0, sizeof blocks);
    memset(pictures, 0, sizeof pictures);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        partition_shuffle(&by_one->partition, 1, 0, epoch, by_one->order);
        partition_shuffle(&in_pool->partition, 2, 0, epoch, in_pool->order);
        for (int place = 0; place < PLACES; place++) {
            blocks[place][by_one->order[place]]++;
            pictures[place][in_pool->order[place]]++;
        }
    }
    for (int place = 0; place < PLACES; place++)
        for (int i = 0; i < PLACES; i++) {
            assert_in_range(blocks[place][i], 200 - 69, 200 + 69);
            assert_in_range(pictures[place][i], 200 - 69, 200 + 69);
        }
    free_even(in_pool);
    free_even(by_one);
}

/* Of pictures that follow one another in an epoch, the share of pairs from one block. */
static double share_of_neighbors(size_t pool)
{
    enum { EPOCHS = 20 };
    struct even *even = create_even(EVEN_BLOCKS, SIZE, pool);
    size_t count = even->partition.count, pairs = 0;
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        partition_shuffle(&even->partition, 3, 0, epoch, even->order);
        for (size_t i = 1; i < count; i++)
            pairs += even->order[i] / SIZE == even->order[i - 1] / SIZE;
    }
    free_even(even);
    return (double)pairs / (double)(EPOCHS * (count - 1));
}

/* (size − 1)/(pool·size − 1) of the pairs within a pool, none of those where one begins: to within five deviations. */
static void pools_are_mixed(void **state)
{
    (void)state;
    static const size_t pools[] = {1, 4, 32};
    for (int p = 0; p < 3; p++) {
        double pictures = (double)(pools[p] * SIZE), pairs = EVEN_BLOCKS * SIZE - 1;
        double inside = (pictures - 1) * EVEN_BLOCKS / (double)pools[p];
        double expected = inside / pairs * (SIZE - 1) / (pictures - 1), found = share_of_neighbors(pools[p]);
        if (fabs(found - expected) > 5 * sqrt(expected * (1 - expected) / (20 * pairs)) + 1e-9)
            fail_msg("a pool of %zu blocks: %.4f of the neighbors, should be %.4f", pools[p], found, expected);
    }
}

int main(void)
{
    for (int i = 0; i < COUNT; i++)
        labels[i] = i % CLASSES;
    make_blocks();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_disjoint_and_complete),
        cmocka_unit_test(iid_shares_are_equal),
        cmocka_unit_test(shared_is_the_same_for_all),
        cmocka_unit_test(seed_decides),
        cmocka_unit_test(alpha_sets_the_skew),
        cmocka_unit_test(empty_shares_are_refused),
        cmocka_unit_test(tiny_alpha_gives_whole_classes),
        cmocka_unit_test(order_is_a_function_of_its_name),
        cmocka_unit_test(blocks_of_a_share),
        cmocka_unit_test(order_goes_pool_by_pool),
        cmocka_unit_test(order_in_blocks_is_a_function_of_its_name),
        cmocka_unit_test(every_place_is_as_likely),
        cmocka_unit_test(pools_are_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
