/* TensorBoard event files, written by hand. */
#include "app/tensorboard.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/memory.h"
#include "base/text.h"

enum { MESSAGE_BYTES = 2048, TAG_BYTES_MAX = 63 };

struct tensorboard {
    char *path;         /* owned */
    FILE *stream;       /* owned */
    double wall_time_s; /* of the run's start, since 1970 */
    bool broken;        /* a write failed, which was said */
};

/* A message being put together: fixed room, checked by assert, since tags and counts are bounded. */
struct message {
    unsigned char bytes[MESSAGE_BYTES];
    size_t count;
};

static void put_bytes(struct message *message, const void *bytes, size_t count)
{
    assert(message->count + count <= MESSAGE_BYTES);
    memcpy(message->bytes + message->count, bytes, count);
    message->count += count;
}

static void put_byte(struct message *message, unsigned char byte)
{
    put_bytes(message, &byte, 1);
}

/* A base-128 number, low groups first. */
static void put_varint(struct message *message, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        put_byte(message, (unsigned char)(value | 128));
    put_byte(message, (unsigned char)value);
}

enum wire_type { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2, WIRE_FLOAT = 5 };

static void put_key(struct message *message, unsigned field, enum wire_type type)
{
    put_byte(message, (unsigned char)(field << 3 | (unsigned)type));
}

static void put_text(struct message *message, unsigned field, const char *text)
{
    size_t length = strlen(text);
    put_key(message, field, WIRE_BYTES);
    put_varint(message, length);
    put_bytes(message, text, length);
}

static void put_message(struct message *message, unsigned field, const struct message *inner)
{
    put_key(message, field, WIRE_BYTES);
    put_varint(message, inner->count);
    put_bytes(message, inner->bytes, inner->count);
}

static void put_event_head(struct message *event, double wall_time_s)
{
    put_key(event, 1, WIRE_DOUBLE);
    put_bytes(event, &wall_time_s, sizeof wall_time_s);
}

/* CRC-32C (Castagnoli), bit by bit: a few hundred bytes per report. */
static uint32_t crc32c(const unsigned char *bytes, size_t count)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* A checksum of bytes that hold their own checksum is weak, so TFRecord masks it. */
static uint32_t masked_crc(const void *bytes, size_t count)
{
    uint32_t crc = crc32c(bytes, count);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void write_record(struct tensorboard *events, const struct message *message)
{
    if (events->broken)
        return;
    uint64_t length = message->count;
    uint32_t length_crc = masked_crc(&length, sizeof length), crc = masked_crc(message->bytes, message->count);
    errno = 0;
    fwrite(&length, sizeof length, 1, events->stream);
    fwrite(&length_crc, sizeof length_crc, 1, events->stream);
    fwrite(message->bytes, 1, message->count, events->stream);
    fwrite(&crc, sizeof crc, 1, events->stream);
    if (fflush(events->stream) != 0 || ferror(events->stream)) {
        events->broken = true;
        atomic_file_complain(LOG_WARNING, events->path, errno, RUN_ELSEWHERE);
    }
}

/* A file of the second in its name, or of the first one after it that has none; readers sort by name. */
static FILE *open_file(const char *folder, long second, char **path)
{
    char host[64] = "host";
    gethostname(host, sizeof host - 1);
    host[sizeof host - 1] = '\0';
    for (;; second++) {
        *path = text_format("%s/events.out.tfevents.%010ld.%s", folder, second, host);
        FILE *stream = fopen(*path, "wxe");
        if (stream != NULL || errno != EEXIST)
            return stream;
        free(*path);
    }
}

enum status tensorboard_create(const char *folder, double wall_time_s, double time_s, struct tensorboard **out)
{
    char *path;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        atomic_file_complain(LOG_ERROR, folder, errno, RUN_ELSEWHERE);
        return STATUS_MACHINE;
    }
    FILE *stream = open_file(folder, (long)wall_time_s, &path);
    if (stream == NULL) {
        atomic_file_complain(LOG_ERROR, path, errno, RUN_ELSEWHERE);
        free(path);
        return STATUS_MACHINE;
    }
    struct tensorboard *events = memory_zalloc(1, sizeof *events);
    *events = (struct tensorboard){.path = path, .stream = stream, .wall_time_s = wall_time_s - time_s};
    struct message event = {.count = 0};
    put_event_head(&event, wall_time_s);
    put_text(&event, 3, "brain.Event:2");
    write_record(events, &event);
    *out = events;
    return STATUS_OK;
}

void tensorboard_begin_session(struct tensorboard *events, double time_s, uint64_t step)
{
    enum { STATUS_FIELD = 1, START = 1, SESSION_LOG_FIELD = 7 };
    struct message session = {.count = 0}, event = {.count = 0};
    put_key(&session, STATUS_FIELD, WIRE_VARINT);
    put_varint(&session, START);
    put_event_head(&event, events->wall_time_s + time_s);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, step);
    put_message(&event, SESSION_LOG_FIELD, &session);
    write_record(events, &event);
}

void tensorboard_add(struct tensorboard *events, double time_s, uint64_t step, const struct tensorboard_scalar *scalars,
                     size_t count)
{
    assert(count <= TENSORBOARD_SCALARS_MAX);
    struct message summary = {.count = 0}, event = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        struct message value = {.count = 0};
        float number = (float)scalars[i].value;
        assert(strlen(scalars[i].tag) <= TAG_BYTES_MAX);
        put_text(&value, 1, scalars[i].tag);
        put_key(&value, 2, WIRE_FLOAT);
        put_bytes(&value, &number, sizeof number);
        put_message(&summary, 1, &value);
    }
    put_event_head(&event, events->wall_time_s + time_s);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, step);
    put_message(&event, 5, &summary);
    write_record(events, &event);
}

void tensorboard_close(struct tensorboard *events)
{
    if (events == NULL)
        return;
    fclose(events->stream);
    free(events->path);
    free(events);
}
