/* Threads that read and check photographs. Positions of the work are taken one after the other; that of number k leaves
 * its result in slot k mod slot_count, which is free again once k was handed over. */
#include "data/pack/photo_crew.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

struct slot {
    struct photo_checked checked;
    bool ready;
};

struct photo_crew {
    struct photo_crew_params params; /* set before the threads start */
    struct thread *threads;          /* owned (params.threads) */
    size_t slot_count;
    pthread_mutex_t lock;
    pthread_cond_t room, ready; /* a slot became free, or the end came; the slot that is waited for is ready */
    struct slot *slots;         /* owned (slot_count); guarded by lock */
    size_t taken, handed_over;  /* positions; guarded by lock */
    bool stopping;              /* guarded by lock */
};

/* The next position, once there is room for its result; SIZE_MAX: none is left. */
static size_t take_position(struct photo_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (!crew->stopping && crew->taken < crew->params.count && crew->taken >= crew->handed_over + crew->slot_count)
        pthread_cond_wait(&crew->room, &crew->lock);
    size_t position = !crew->stopping && crew->taken < crew->params.count ? crew->taken++ : SIZE_MAX;
    pthread_mutex_unlock(&crew->lock);
    return position;
}

static void leave_result(struct photo_crew *crew, size_t position, const struct photo_checked *checked)
{
    struct slot *slot = &crew->slots[position % crew->slot_count];
    pthread_mutex_lock(&crew->lock);
    slot->checked = *checked;
    slot->ready = true;
    if (position == crew->handed_over)
        pthread_cond_signal(&crew->ready);
    pthread_mutex_unlock(&crew->lock);
}

static void *work(void *context)
{
    struct photo_crew *crew = context;
    const struct photo_index *list = crew->params.list;
    struct photo_checker *checker = photo_checker_create(crew->params.short_side, crew->params.quality);
    for (size_t position; (position = take_position(crew)) != SIZE_MAX;) {
        struct photo_checked checked;
        size_t photo = crew->params.work[position];
        char *path = text_format("%s/%s", list->folder, photo_name(list, photo));
        photo_check(checker, path, list->photos[photo].size, &checked);
        free(path);
        leave_result(crew, position, &checked);
    }
    photo_checker_destroy(checker);
    return NULL;
}

enum status photo_crew_start(const struct photo_crew_params *params, struct photo_crew **out)
{
    struct photo_crew *crew = memory_zalloc(1, sizeof *crew);
    crew->params = *params;
    crew->slot_count = (size_t)params->threads * PHOTO_CREW_AHEAD;
    crew->slots = memory_zalloc(crew->slot_count, sizeof *crew->slots);
    crew->threads = memory_zalloc((size_t)params->threads, sizeof *crew->threads);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->room, NULL);
    pthread_cond_init(&crew->ready, NULL);
    for (int t = 0; t < params->threads; t++) {
        enum status status = thread_start(&crew->threads[t], "photographs", work, crew);
        if (status != STATUS_OK) {
            photo_crew_stop(crew);
            return status;
        }
    }
    *out = crew;
    return STATUS_OK;
}

void photo_crew_next(struct photo_crew *crew, struct photo_checked *out)
{
    pthread_mutex_lock(&crew->lock);
    assert(crew->handed_over < crew->params.count);
    struct slot *slot = &crew->slots[crew->handed_over % crew->slot_count];
    while (!slot->ready)
        pthread_cond_wait(&crew->ready, &crew->lock);
    *out = slot->checked;
    slot->ready = false;
    crew->handed_over++;
    pthread_cond_signal(&crew->room);
    pthread_mutex_unlock(&crew->lock);
}

void photo_crew_stop(struct photo_crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->room);
    pthread_mutex_unlock(&crew->lock);
    for (int t = 0; t < crew->params.threads; t++)
        thread_join(&crew->threads[t]);
    for (size_t k = 0; k < crew->slot_count; k++)
        if (crew->slots[k].ready)
            free(crew->slots[k].checked.bytes);
    pthread_cond_destroy(&crew->ready);
    pthread_cond_destroy(&crew->room);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew->slots);
    free(crew);
}
