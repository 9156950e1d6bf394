/* A part of the training images for tests. */
#include "data/test_share.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

struct candidate {
    int32_t label;
    uint32_t place;
    uint64_t digest;
};

static int by_class_and_digest(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    if (one->label != other->label)
        return one->label < other->label ? -1 : 1;
    if (one->digest != other->digest)
        return one->digest < other->digest ? -1 : 1;
    return one->place < other->place ? -1 : one->place > other->place;
}

static struct candidate *sort_candidates(const struct test_share *share, uint64_t seed)
{
    struct candidate *list = memory_zalloc(share->count, sizeof *list);
    for (size_t i = 0; i < share->count; i++)
        list[i] = (struct candidate){
            .label = share->labels[i], .place = (uint32_t)i, .digest = share->digest(share->context, seed, i)};
    qsort(list, share->count, sizeof *list, by_class_and_digest);
    return list;
}

/* Of a class with `count` images. */
static size_t tested(size_t count, double share)
{
    double wanted = rint((double)count * share);
    if (count < 2)
        return 0;
    return (size_t)fmin(fmax(wanted, 1), (double)(count - 1));
}

/* is_test (count): marks; returns how many. */
static size_t mark_tests(const struct test_share *share, const struct dataset_params *params, bool *is_test)
{
    struct candidate *list = sort_candidates(share, params->seed);
    size_t total = 0;
    for (size_t first = 0, last; first < share->count; first = last) {
        for (last = first; last < share->count && list[last].label == list[first].label;)
            last++;
        size_t wanted = tested(last - first, params->test_share);
        for (size_t k = first; k < first + wanted; k++)
            is_test[list[k].place] = true;
        total += wanted;
    }
    free(list);
    return total;
}

enum status test_share_choose(const struct test_share *share, const struct dataset_params *params, uint32_t **places,
                              size_t *count)
{
    if (params->test_share <= 0) {
        log_error("%s: no test images are there, and data.test_share is 0: give them, or a share of the training "
                  "images, such as data.test_share=0.1",
                  share->where);
        return STATUS_USAGE;
    }
    bool *is_test = memory_zalloc(share->count, sizeof *is_test);
    size_t tests = mark_tests(share, params, is_test), filled = 0;
    if (tests == 0) {
        log_error("%s: no test images are there, and none of its classes has two images, one of which could be kept "
                  "for tests: add some",
                  share->where);
        free(is_test);
        return STATUS_DATA;
    }
    *count = params->train ? share->count - tests : tests;
    *places = memory_zalloc(*count, sizeof **places);
    for (size_t i = 0; i < share->count; i++)
        if (is_test[i] != params->train)
            (*places)[filled++] = (uint32_t)i;
    free(is_test);
    return STATUS_OK;
}

char *test_share_note(const struct dataset_params *params, const char *where)
{
    return text_format("%g of the images of each class in %s, kept from training by seed %" PRIu64, params->test_share,
                       where, params->seed);
}
