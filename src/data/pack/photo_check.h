/* One photograph on its way into a pack: read, checked to its end, and made smaller where that is wanted. Private to
 * data/. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_CHECK_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { PHOTO_REASON_BYTES = 160 };

/* One thread's. */
struct photo_checker;

/* What became of a photograph. */
struct photo_checked {
    uint8_t *bytes; /* owned by the caller, from malloc; NULL unless it is sound */
    uint32_t size, checksum;
    uint16_t width, height;
    enum status status;              /* not STATUS_OK: the file system failed, or the file has changed meanwhile */
    char reason[PHOTO_REASON_BYTES]; /* "": sound; else why it is left out, or what failed: "is a GIF" */
};

/* `short_side` 0: bytes stay as they are; else pictures whose shorter side is longer are brought down to it, and
 * written anew with `quality`. */
struct photo_checker *photo_checker_create(uint32_t short_side, uint32_t quality);
void photo_checker_destroy(struct photo_checker *checker); /* NULL is fine */

/* `size`: the file's as it was found when it was listed. Logs nothing. */
void photo_check(struct photo_checker *checker, const char *path, uint32_t size, struct photo_checked *out);

#endif
