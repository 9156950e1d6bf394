/* One photograph on its way into a pack. */
#include "data/pack/photo_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "data/photos/image.h"
#include "data/photos/photo_index.h"
#include "data/photos/photo_pixels.h"

struct photo_checker {
    struct image_decoder *decoder; /* owned */
    struct photo_maker *maker;     /* owned */
    uint32_t short_side, quality;
};

struct photo_checker *photo_checker_create(uint32_t short_side, uint32_t quality)
{
    struct photo_checker *checker = memory_zalloc(1, sizeof *checker);
    *checker = (struct photo_checker){.decoder = image_decoder_create(),
                                      .maker = short_side > 0 ? photo_maker_create() : NULL,
                                      .short_side = short_side,
                                      .quality = quality};
    return checker;
}

void photo_checker_destroy(struct photo_checker *checker)
{
    if (checker == NULL)
        return;
    image_decoder_destroy(checker->decoder);
    photo_maker_destroy(checker->maker);
    free(checker);
}

static bool __attribute__((format(printf, 2, 3))) leave_out(struct photo_checked *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->reason, sizeof out->reason, format, arguments);
    va_end(arguments);
    return false;
}

/* Not the photograph's fault: the pack ends, and goes on when it is given again. */
static bool fail(struct photo_checked *out, enum status status, const char *reason)
{
    out->status = status;
    return leave_out(out, "%s", reason);
}

/* Why a file cannot be opened: what stays so is the photograph's trouble, anything else the machine's. */
static bool refuse_open(struct photo_checked *out, const char *path, int reason)
{
    struct stat about;
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
        if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode))
            return leave_out(out, "is a link that leads nowhere");
        return fail(out, STATUS_DATA, "was there when the files were listed, and is gone");
    case EACCES:
    case EPERM:
    case ENAMETOOLONG:
    case ENXIO:
        return leave_out(out, "cannot be read: %s", strerror(reason));
    default:
        return fail(out, STATUS_MACHINE, strerror(reason));
    }
}

static bool read_to_end(int file, uint8_t *bytes, size_t size, struct photo_checked *out)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(file, bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(out, STATUS_MACHINE, strerror(errno));
        if (got == 0)
            return fail(out, STATUS_DATA, "became shorter while it was read");
        done += (size_t)got;
    }
    return true;
}

static bool read_open_file(int file, uint32_t size, struct photo_checked *out)
{
    struct stat about;
    if (fstat(file, &about) != 0)
        return fail(out, STATUS_MACHINE, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return leave_out(out, "is a folder");
    if (!S_ISREG(about.st_mode))
        return leave_out(out, "is no file");
    if (about.st_size > PHOTO_BYTES_MAX)
        return leave_out(out, "is larger than %d MiB", PHOTO_BYTES_MAX >> 20);
    if ((uint64_t)about.st_size != size)
        return fail(out, STATUS_DATA, "has another size than when the files were listed");
    if (size == 0)
        return leave_out(out, "is empty");
    out->bytes = memory_zalloc(size, 1);
    out->size = size;
    return read_to_end(file, out->bytes, size, out);
}

static bool read_file(const char *path, uint32_t size, struct photo_checked *out)
{
    /* not to wait for whoever would write into a pipe */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return refuse_open(out, path, errno);
    bool whole = read_open_file(file, size, out);
    close(file);
    return whole;
}

static bool shrink(struct photo_checker *checker, struct photo_checked *out, struct image_about *about)
{
    uint8_t *bytes;
    size_t size;
    const char *trouble;
    if (!photo_shrink(checker->maker, out->bytes, out->size, (int)checker->short_side, (int)checker->quality, &bytes,
                      &size, about, &trouble))
        return leave_out(out, "%s", trouble);
    free(out->bytes);
    out->bytes = bytes;
    out->size = (uint32_t)size;
    return true;
}

static bool check_picture(struct photo_checker *checker, struct photo_checked *out)
{
    struct image_about about;
    if (!image_sound(checker->decoder, out->bytes, out->size, &about))
        return leave_out(out, "%s", image_trouble(checker->decoder));
    uint32_t shorter = (uint32_t)(about.width < about.height ? about.width : about.height);
    if (checker->short_side > 0 && shorter > checker->short_side && !shrink(checker, out, &about))
        return false;
    out->width = (uint16_t)about.width;
    out->height = (uint16_t)about.height;
    out->checksum = (uint32_t)crc32_z(0, out->bytes, out->size);
    return true;
}

void photo_check(struct photo_checker *checker, const char *path, uint32_t size, struct photo_checked *out)
{
    *out = (struct photo_checked){.status = STATUS_OK};
    if (read_file(path, size, out) && check_picture(checker, out))
        return;
    free(out->bytes);
    out->bytes = NULL;
}
