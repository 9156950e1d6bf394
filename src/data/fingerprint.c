/* Digests of labels, names and contents. */
#include "data/fingerprint.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"

enum { SAMPLED = 64 /* images that are read */ };

static uint64_t digest_number(uint64_t digest, uint64_t number)
{
    return digest_bytes(digest, &number, sizeof number);
}

static uint64_t digest_names(uint64_t digest, const struct dataset *set)
{
    for (int i = 0; set->class_names != NULL && i < set->class_count; i++)
        digest = digest_bytes(digest, set->class_names[i], strlen(set->class_names[i]) + 1);
    return digest;
}

static uint64_t digest_pixels(uint64_t digest, const struct picture_bytes *bytes)
{
    const size_t piece = (size_t)1 << 30;
    size_t size = bytes->count * (size_t)bytes->channels * (size_t)bytes->height * (size_t)bytes->width;
    for (size_t first = 0; first < size; first += piece)
        digest = digest_bytes(digest, bytes->pixels + first, size - first < piece ? size - first : piece);
    return digest;
}

/* What cannot be read counts as nothing: it is told of when it is wanted. */
static uint64_t digest_sample(uint64_t digest, const struct dataset *set)
{
    size_t count = set->count < SAMPLED ? set->count : SAMPLED;
    for (size_t i = 0; i < count; i++)
        digest = digest_number(digest, set->ops->digest(set, i * set->count / count));
    return digest;
}

void fingerprint_add(const struct dataset *set, struct text *out)
{
    uint64_t digest = digest_number(0, (uint64_t)set->count);
    digest = digest_bytes(digest, set->labels, set->count * sizeof set->labels[0]);
    digest = digest_names(digest, set);
    if (set->bytes != NULL)
        digest = digest_pixels(digest, set->bytes);
    else if (set->ops->digest != NULL)
        digest = digest_sample(digest, set);
    text_add(out, "%zu images, %d classes, digest %016" PRIx64, set->count, set->class_count, digest);
}
