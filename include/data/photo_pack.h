/* Photographs packed into a few large files, which are read many times faster than a million small ones, and checked on
 * the way.
 *
 *     DST/SPLIT/shard-00000.bin, ...    the pictures' bytes, one after the other
 *     DST/SPLIT/index.bin               names, classes, sizes and checksums (src/data/photos/photo_index_file.h)
 *     DST/SPLIT/report.tsv              files that were left out: path, tab, reason
 *
 * A split in DST stands for its folder in SRC wherever photographs are read. The bytes written are a function of the
 * names, sizes and bytes of the source files, the labels and the options alone, however many threads made them, and in
 * how many goes: a pack that was ended by whatever goes on when it is given again, with the first shard that is not
 * complete. Whatever is there under its final name is complete and on the disk. */
#ifndef GRAPEVINE_DATA_PHOTO_PACK_H
#define GRAPEVINE_DATA_PHOTO_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { PHOTO_PACK_THREADS_MAX = 1024 };

/* What is being done, of which it is so far: for whoever shows it. */
struct photo_pack_progress {
    enum { PHOTO_PACK_LISTING, PHOTO_PACK_WRITING, PHOTO_PACK_VERIFYING } phase;
    const char *split; /* borrowed */
    size_t done, count, left_out;
    uint64_t bytes_done, bytes_count; /* of the source; 0 while listing */
    size_t done_before;               /* of done, and of bytes_done: found complete, no work of this call */
    uint64_t bytes_before;
};

/* One split, done. */
struct photo_pack_split {
    const char *split, *folder; /* borrowed: its name, and where it lies in DST */
    size_t count, left_out;     /* photo_verify: left_out are damages */
    int class_count;
    uint32_t shard_count;
    uint64_t bytes;
    bool was_complete; /* before the call */
};

/* Called by the thread that called. */
struct photo_pack_observer {
    void (*progress)(void *context, const struct photo_pack_progress *progress);
    void (*split)(void *context, const struct photo_pack_split *split);
    /* photo_verify: something of a shard is damaged, one call for each picture, or for what is no picture. */
    void (*damage)(void *context, const char *text);
    void *context;
};

struct photo_pack_params {
    const char *source;           /* train/ and val/ lie in it, or it is one split itself */
    const char *destination;      /* made where it is missing */
    const char *split;            /* the source is this one split; NULL: as it is found, "train" if it is one */
    const char *labels, *synsets; /* lists of a flat folder's labels (src/data/pack/photo_labels.h), or NULL */
    uint64_t shard_bytes;         /* source bytes in a shard */
    int short_side, quality;      /* 0: bytes as they are; else the shorter side in pixels, and JPEG's quality */
    bool stop_on_bad;             /* the first file that would be left out is an error */
    bool force;                   /* begin anew, whatever lies in the destination's splits */
    int threads;                  /* 1 to PHOTO_PACK_THREADS_MAX */
};

/* STATUS_DATA (logged): the source or a list is not as it should be, the destination holds another pack or is being
 * packed by another process. STATUS_MACHINE (logged): reading or writing failed; what is complete stays. */
enum status photo_pack(const struct photo_pack_params *params, const struct photo_pack_observer *observer);

/* Read all shards of the splits in `destination` (or of the one split that it is) from their beginning to their end,
 * and compare checksums. STATUS_DATA: there is none, or something is damaged: told to the observer, then logged once.
 * STATUS_MACHINE (logged): reading failed. */
enum status photo_verify(const char *destination, const struct photo_pack_observer *observer);

#endif
