/* What a pack is made of: the photographs of one split, their sizes, and which of them go into which shard, in which
 * order. All of it follows from names, labels and sizes alone. Private to data/.
 *
 * The photographs, sorted, are shuffled with a seed that is always the same, so that neighbours in a shard are of
 * different classes, and then fill shard after shard. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_SOURCE_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_SOURCE_H

#include "data/photos/photo_index.h"
#include "data/photos/photo_index_file.h"
#include "data/pack/photo_report.h"

struct photo_source_params {
    const char *folder;                /* of the split */
    const char *labels, *synsets;      /* files (photo_labels.h); NULL: class folders, no synsets */
    const struct photo_index *classes; /* whose numbers are to be used, or NULL */
    uint64_t shard_bytes;
    uint32_t short_side, quality;
    int threads;
    /* Called now and then with how many photographs' sizes are known; by the thread that called. */
    void (*progress)(void *context, size_t done, size_t count);
    void *context;
};

struct photo_source {
    struct photo_index list;     /* in a folder, but with the sizes of the files (those above UINT32_MAX are that) */
    struct photo_report foreign; /* what else lies there */
    uint64_t bytes;              /* all sizes together */
    uint32_t *order;             /* owned (list.count): photographs in the order in which they are packed */
    uint32_t shard_count;
    size_t *first; /* owned (shard_count + 1): shard s gets order[first[s]] … order[first[s + 1] − 1] */
    struct photo_origin origin;
};

/* STATUS_DATA, STATUS_MACHINE (logged): as photo_folder.h and photo_labels.h say; a size that cannot be had. */
enum status photo_source_open(const struct photo_source_params *params, struct photo_source *out);
void photo_source_release(struct photo_source *source);

/* Bytes of the photographs before packing that shard `shard` gets. */
uint64_t photo_source_shard_bytes(const struct photo_source *source, uint32_t shard);

#endif
