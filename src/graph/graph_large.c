/* Large random graphs. Integers, comparisons and single IEEE operations only, so that the same seed gives the same
 * graph on every machine. */
#include "graph/graph_large.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { LARGE_ABOVE = 16384, TRIES_MAX = 1000, GAP_BITS_MAX = 64 };

bool graph_is_large(const struct graph_params *params)
{
    return params->worker_count > LARGE_ABOVE;
}

/* Pairs of workers by open addressing; 0 is an empty place, since no key is 0: its upper end is at least 1. */
struct key_set {
    uint64_t *keys; /* owned */
    size_t mask;
};

static uint64_t key_of(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)b << 32 | a : (uint64_t)a << 32 | b;
}

static size_t place_of(const struct key_set *set, uint64_t key)
{
    size_t place = (key * 0x9e3779b97f4a7c15u) >> 20 & set->mask;
    while (set->keys[place] != 0 && set->keys[place] != key)
        place = (place + 1) & set->mask;
    return place;
}

/* False when it was there. */
static bool key_add(struct key_set *set, uint64_t key)
{
    size_t place = place_of(set, key);
    bool fresh = set->keys[place] == 0;
    set->keys[place] = key;
    return fresh;
}

/* Keys behind the gap move up, so that a search still ends at the first empty place. */
static void key_remove(struct key_set *set, uint64_t key)
{
    size_t place = place_of(set, key);
    assert(set->keys[place] == key);
    set->keys[place] = 0;
    for (size_t next = (place + 1) & set->mask; set->keys[next] != 0; next = (next + 1) & set->mask) {
        uint64_t moved = set->keys[next];
        set->keys[next] = 0;
        set->keys[place_of(set, moved)] = moved;
    }
}

static void key_set_init(struct key_set *set, size_t count)
{
    size_t places = 1024;
    while (places < 2 * count)
        places *= 2;
    *set = (struct key_set){.keys = memory_alloc_aligned(places * sizeof *set->keys), .mask = places - 1};
}

/* The pairs (stubs[2k], stubs[2k + 1]) as keys; those that are loops or doubles are listed in `bad`, which may hold
 * all. Returns how many. The place of a pair some way ahead is fetched while this one is looked up. */
static size_t key_pairs(struct key_set *set, const uint32_t *stubs, size_t pair_count, uint32_t *bad)
{
    size_t bad_count = 0;
    enum { AHEAD = 16 };
    for (size_t k = 0; k < pair_count; k++) {
        if (k + AHEAD < pair_count) {
            uint64_t later = key_of(stubs[2 * (k + AHEAD)], stubs[2 * (k + AHEAD) + 1]);
            __builtin_prefetch(&set->keys[(later * 0x9e3779b97f4a7c15u) >> 20 & set->mask], 1);
        }
        uint32_t a = stubs[2 * k], b = stubs[2 * k + 1];
        if (a == b || !key_add(set, key_of(a, b)))
            bad[bad_count++] = (uint32_t)k;
    }
    return bad_count;
}

/* Exchange ends of the bad pair (a, b) with a random pair (c, d): (a, d) and (c, b), if both are new. The random pair
 * must be a good one, for its key is taken out. */
static bool switch_pair(struct key_set *set, uint32_t *stubs, size_t bad, size_t other, const bool *is_bad)
{
    uint32_t a = stubs[2 * bad], *b = &stubs[2 * bad + 1], c = stubs[2 * other], *d = &stubs[2 * other + 1];
    if (is_bad[other] || a == *d || c == *b || key_of(a, *d) == key_of(c, *b))
        return false;
    size_t first = place_of(set, key_of(a, *d)), second = place_of(set, key_of(c, *b));
    if (set->keys[first] != 0 || set->keys[second] != 0)
        return false;
    key_remove(set, key_of(c, *d));
    uint32_t swap = *b;
    *b = *d;
    *d = swap;
    key_add(set, key_of(a, *b));
    key_add(set, key_of(c, *d));
    return true;
}

static void repair_pairs(struct key_set *set, uint32_t *stubs, size_t pair_count, struct random_stream *stream)
{
    uint32_t *bad = memory_realloc(NULL, pair_count, sizeof *bad);
    bool *is_bad = memory_zalloc(pair_count, sizeof *is_bad);
    size_t bad_count = key_pairs(set, stubs, pair_count, bad);
    for (size_t k = 0; k < bad_count; k++)
        is_bad[bad[k]] = true;
    for (size_t k = 0; k < bad_count; k++) {
        while (!switch_pair(set, stubs, bad[k], random_below(stream, (uint32_t)pair_count), is_bad))
            ;
        is_bad[bad[k]] = false;
    }
    free(is_bad);
    free(bad);
}

static void draw_stubs(const struct graph_params *params, uint64_t attempt, uint32_t *stubs)
{
    size_t degree = (size_t)params->degree, pair_count = (size_t)params->worker_count * degree / 2;
    struct random_stream stream = random_stream(params->seed, RANDOM_GRAPH, 0, attempt);
    struct key_set set;
    for (size_t i = 0; i < (size_t)params->worker_count; i++)
        for (size_t k = 0; k < degree; k++)
            stubs[i * degree + k] = (uint32_t)i;
    random_shuffle(&stream, stubs, 2 * pair_count);
    key_set_init(&set, pair_count);
    repair_pairs(&set, stubs, pair_count, &stream);
    memory_free_aligned(set.keys);
}

void graph_draw_pairing(const struct graph_params *params, struct edge_list *list)
{
    size_t pair_count = (size_t)params->worker_count * (size_t)params->degree / 2;
    uint32_t *stubs = memory_realloc(NULL, 2 * pair_count, sizeof *stubs);
    int *part = memory_zalloc((size_t)params->worker_count, sizeof *part);
    list->edges = memory_realloc(list->edges, pair_count, sizeof *list->edges);
    list->capacity = pair_count;
    /* At this size a graph of degree 3 falls apart about once in 10^9 draws (n⁻² up to a factor). */
    int parts = 0;
    for (uint64_t attempt = 0; attempt < TRIES_MAX && parts != 1; attempt++) {
        draw_stubs(params, attempt, stubs);
        list->count = 0;
        for (size_t k = 0; k < pair_count; k++)
            edge_list_add(list, (int)stubs[2 * k], (int)stubs[2 * k + 1], 0);
        parts = edge_list_parts(list, params->worker_count, part);
    }
    assert(parts == 1 && list->count == pair_count);
    free(part);
    free(stubs);
}

/* A geometric number G ≥ 0, P(G ≥ g) = q^g, bit by bit: the bits of a geometric number are independent, and bit k is
 * set with probability q^(2^k)/(1 + q^(2^k)). */
struct gap_law {
    double bits[GAP_BITS_MAX]; /* (count) probability of each bit */
    int count;                 /* further bits have less than 2^-60 */
};

static struct gap_law gap_law_of(double probability)
{
    struct gap_law law = {.count = 0};
    for (double q = 1 - probability; q > 0x1p-60 && law.count < GAP_BITS_MAX; q *= q)
        law.bits[law.count++] = q / (1 + q);
    return law;
}

static uint64_t draw_gap(const struct gap_law *law, struct random_stream *stream)
{
    uint64_t gap = 0;
    for (int k = 0; k < law->count; k++)
        if (random_uniform(stream) < law->bits[k])
            gap |= (uint64_t)1 << k;
    return gap;
}

bool graph_draw_skipping(const struct graph_params *params, uint64_t attempt, bool *met, struct edge_list *list)
{
    uint64_t n = (uint64_t)params->worker_count, row = 0, column = 0;
    struct random_stream stream = random_stream(params->seed, RANDOM_GRAPH, 0, attempt);
    struct gap_law law = gap_law_of(params->probability);
    memset(met, 0, (size_t)n * sizeof *met);
    list->count = 0;
    /* Row i has the pairs (i, i + 1), …, (i, n − 1); `column` is the latest one that was decided. */
    for (;;) {
        uint64_t step = draw_gap(&law, &stream) + 1;
        while (step > n - 1 - column) {
            if (!met[row])
                return false;
            step -= n - 1 - column;
            column = ++row;
            if (row == n - 1)
                return met[row];
        }
        column += step;
        edge_list_add(list, (int)row, (int)column, 0);
        met[row] = met[column] = true;
    }
}
