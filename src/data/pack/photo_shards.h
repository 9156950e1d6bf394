/* A pack's split while it is made: which shards are complete, and what is still to be written. Private to data/.
 *
 * A shard is written under a temporary name. Beside it come its list of photographs, shard-00003.idx (as index.bin, of
 * this shard alone), and of what was left out, shard-00003.tsv; then it gets its name, so that it is complete where it
 * is there. Once all are, report.tsv and index.bin are made of the lists, and these removed. A shard that is missing
 * beside index.bin, or has another size, is made anew as well. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_SHARDS_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_SHARDS_H

#include <stdio.h>

#include "base/atomic_file.h"
#include "data/photos/photo_builder.h"
#include "data/pack/photo_check.h"
#include "data/pack/photo_source.h"

struct photo_shards {
    char *folder;                      /* owned */
    const struct photo_source *source; /* borrowed */
    bool complete;                     /* index.bin is there, and all shards with it */
    struct photo_index *parts;         /* owned (shards of the source): lists of those that are complete, else {0} */
    struct photo_report left_out;
    /* the shard that is being written */
    uint32_t shard;
    struct atomic_file file;
    struct photo_builder builder; /* its list; shard_bytes is one number in it */
    struct photo_report left_out_here;
};

/* Look at what lies in `folder`, which is made where it is missing. What a pack that was ended has left under temporary
 * names is removed. `force`: all that a pack has left is. STATUS_DATA (logged): the folder has shards of other pictures
 * or options, or an index that is damaged. STATUS_MACHINE (logged): it cannot be made or read. */
enum status photo_shards_open(const char *folder, const struct photo_source *source, bool force,
                              struct photo_shards *out);
void photo_shards_release(struct photo_shards *shards);

bool photo_shards_has(const struct photo_shards *shards, uint32_t shard);

/* Write one shard: begin, add each of its photographs in order, end. STATUS_MACHINE (logged): nothing of it is left;
 * after a failure no other call but photo_shards_release. */
enum status photo_shards_begin(struct photo_shards *shards, uint32_t shard);
enum status photo_shards_add(struct photo_shards *shards, size_t photo, const struct photo_checked *checked);
enum status photo_shards_end(struct photo_shards *shards);

/* All shards are there: write report.tsv and index.bin. `index` is what the latter holds, the caller's to release.
 * STATUS_DATA (logged): no photograph is left; STATUS_MACHINE (logged). */
enum status photo_shards_finish(struct photo_shards *shards, struct photo_index *index);

#endif
