/* Threads that read and check photographs, so that one can write them: many at work, handed over in order. Private to
 * data/.
 *
 * At most THREADS · PHOTO_CREW_AHEAD photographs are in memory, which is what bounds it. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_CREW_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_CREW_H

#include "base/status.h"
#include "data/pack/photo_check.h"
#include "data/photos/photo_index.h"

enum { PHOTO_CREW_AHEAD = 4 };

struct photo_crew_params {
    const struct photo_index *list; /* in a folder, with sizes; borrowed until the crew's end */
    const uint32_t *work;           /* (count) photographs of the list, in the order wanted; borrowed likewise */
    size_t count;
    int threads;
    uint32_t short_side, quality; /* of photo_checker_create */
};

struct photo_crew;

/* STATUS_MACHINE (logged): a thread could not be started. */
enum status photo_crew_start(const struct photo_crew_params *params, struct photo_crew **out);

/* Wait for the next photograph, at most `count` times. By one thread. Its bytes are the caller's to free. */
void photo_crew_next(struct photo_crew *crew, struct photo_checked *out);

/* Ends the threads, whatever is left to do. NULL is fine. */
void photo_crew_stop(struct photo_crew *crew);

#endif
