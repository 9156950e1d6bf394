/* Arrays as NumPy writes them. */
#include "data/npy_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

enum { MAGIC_BYTES = 8, HEADER_BYTES_MAX = 1 << 16 };

static const char remedy[] = "save it anew from Python: np.save(\"NAME.npy\", np.ascontiguousarray(array))";

/* --- the header: a Python dictionary with three entries --- */

struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL && *cursor->at != '\0')
        cursor->at++;
}

static bool take(struct cursor *cursor, char wanted)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(cursor);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* 'text' or "text", without escapes. */
static bool take_text(struct cursor *cursor, char *out, size_t room)
{
    size_t length = 0;
    char quote = take(cursor, '\'') ? '\'' : take(cursor, '"') ? '"' : '\0';
    if (quote == '\0')
        return false;
    while (cursor->at < cursor->end && *cursor->at != quote) {
        if (length + 1 >= room || *cursor->at == '\\')
            return false;
        out[length++] = *cursor->at++;
    }
    out[length] = '\0';
    return take(cursor, quote);
}

static bool take_size(struct cursor *cursor, size_t *out)
{
    size_t value = 0, digits = 0;
    skip_blanks(cursor);
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++, digits++) {
        if (digits == 15)
            return false;
        value = 10 * value + (size_t)(*cursor->at - '0');
    }
    *out = value;
    return digits > 0;
}

static bool fail(char *trouble, const char *format, const char *what)
{
    snprintf(trouble, NPY_TROUBLE_BYTES, format, what);
    return false;
}

static bool take_shape(struct cursor *cursor, struct npy_header *out, char *trouble)
{
    bool comma = true;
    out->rank = 0;
    if (!take(cursor, '('))
        return fail(trouble, "%s", "its header has no shape");
    while (!take(cursor, ')')) {
        size_t length;
        if (!comma || !take_size(cursor, &length))
            return fail(trouble, "%s", "the shape in its header is damaged");
        if (out->rank == NPY_RANK_MAX)
            return fail(trouble, "%s", "has more than 4 dimensions");
        out->shape[out->rank++] = length;
        comma = take(cursor, ',');
    }
    return true;
}

static bool read_type(const char *text, struct npy_header *out, char *trouble)
{
    bool known = strlen(text) == 3 && strchr("<>|=", text[0]) != NULL && strchr("uifb", text[1]) != NULL &&
                 strchr("1248", text[2]) != NULL;
    if (known && (text[1] != 'b' || text[2] == '1') && (text[1] != 'f' || text[2] > '2')) {
        out->big_endian = text[0] == '>';
        out->kind = text[1];
        out->item_bytes = (size_t)(text[2] - '0');
        return true;
    }
    snprintf(trouble, NPY_TROUBLE_BYTES,
             "its items are of type %.32s; integers, float32, float64 and bool are read: convert it, for instance "
             "array.astype(\"uint8\")",
             text);
    return false;
}

static bool take_entry(struct cursor *cursor, struct npy_header *out, unsigned *seen, char *trouble)
{
    char key[32], type[64];
    if (!take_text(cursor, key, sizeof key) || !take(cursor, ':'))
        return fail(trouble, "%s", "its header is damaged");
    if (strcmp(key, "descr") == 0) {
        *seen |= 1;
        if (!take_text(cursor, type, sizeof type))
            return fail(trouble, "%s", "its items are records of several fields; one array of numbers is read");
        return read_type(type, out, trouble);
    }
    if (strcmp(key, "fortran_order") == 0) {
        *seen |= 2;
        if (take_word(cursor, "True"))
            return fail(trouble, "is in Fortran's order; %s", remedy);
        return take_word(cursor, "False") || fail(trouble, "%s", "its header is damaged");
    }
    if (strcmp(key, "shape") == 0) {
        *seen |= 4;
        return take_shape(cursor, out, trouble);
    }
    return fail(trouble, "its header has an entry that is not known: %s", key);
}

static bool take_dictionary(struct cursor *cursor, struct npy_header *out, char *trouble)
{
    unsigned seen = 0;
    bool comma = true;
    if (!take(cursor, '{'))
        return fail(trouble, "%s", "its header is damaged");
    while (!take(cursor, '}')) {
        if (!comma)
            return fail(trouble, "%s", "its header is damaged");
        if (!take_entry(cursor, out, &seen, trouble))
            return false;
        comma = take(cursor, ',');
    }
    return seen == 7 || fail(trouble, "%s", "its header lacks an entry (descr, fortran_order, shape)");
}

static bool multiply_shape(struct npy_header *header)
{
    header->count = 1;
    for (int i = 0; i < header->rank; i++)
        if (__builtin_mul_overflow(header->count, header->shape[i], &header->count))
            return false;
    size_t bytes;
    return !__builtin_mul_overflow(header->count, header->item_bytes, &bytes) && bytes <= SIZE_MAX / 2;
}

/* Where the dictionary begins and ends; data_at is its end. */
static bool find_dictionary(const uint8_t *bytes, size_t available, struct npy_header *out, struct cursor *cursor,
                            char *trouble)
{
    if (available < MAGIC_BYTES + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return fail(trouble, "is not a .npy file; %s", remedy);
    bool is_short = bytes[6] == 1;
    if (bytes[6] < 1 || bytes[6] > 3)
        return fail(trouble, "is a .npy file of an unknown version; %s", remedy);
    size_t length = bytes[8] | (size_t)bytes[9] << 8, begin = MAGIC_BYTES + (is_short ? 2 : 4);
    if (!is_short)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > HEADER_BYTES_MAX || begin + length > available)
        return fail(trouble, "its header is damaged or cut short; %s", remedy);
    *cursor = (struct cursor){(const char *)bytes + begin, (const char *)bytes + begin + length};
    out->data_at = begin + length;
    return true;
}

bool npy_header_parse(const uint8_t *bytes, size_t available, uint64_t size, struct npy_header *out, char *trouble)
{
    struct npy_header header = {0};
    struct cursor cursor;
    if (!find_dictionary(bytes, available, &header, &cursor, trouble) || !take_dictionary(&cursor, &header, trouble))
        return false;
    if (!multiply_shape(&header))
        return fail(trouble, "%s", "its shape has more items than a file can hold: its header is damaged");
    uint64_t expected = header.data_at + (uint64_t)header.count * header.item_bytes;
    if (size != expected) {
        snprintf(trouble, NPY_TROUBLE_BYTES, "has %llu bytes, its header says %llu: cut short, or damaged",
                 (unsigned long long)size, (unsigned long long)expected);
        return false;
    }
    *out = header;
    return true;
}

/* --- files --- */

static enum status report(const struct npy_file *file, const char *trouble)
{
    log_error("%s: %s", file->path, trouble);
    return STATUS_DATA;
}

static enum status read_header(struct npy_file *file)
{
    char trouble[NPY_TROUBLE_BYTES];
    struct stat about;
    if (fstat(fileno(file->stream), &about) != 0 || !S_ISREG(about.st_mode))
        return report(file, "is no regular file");
    uint8_t *bytes = memory_zalloc(HEADER_BYTES_MAX + MAGIC_BYTES + 4, 1);
    size_t available = fread(bytes, 1, HEADER_BYTES_MAX + MAGIC_BYTES + 4, file->stream);
    bool good = npy_header_parse(bytes, available, (uint64_t)about.st_size, &file->header, trouble);
    free(bytes);
    if (!good)
        return report(file, trouble);
    if (fseek(file->stream, (long)file->header.data_at, SEEK_SET) != 0)
        return report(file, strerror(errno));
    return STATUS_OK;
}

enum status npy_file_open(const char *path, struct npy_file *out)
{
    struct npy_file file = {.path = memory_copy_text(path), .stream = fopen(path, "rb")};
    enum status status = file.stream == NULL ? report(&file, strerror(errno)) : read_header(&file);
    if (status != STATUS_OK) {
        npy_file_close(&file);
        return status;
    }
    *out = file;
    return STATUS_OK;
}

void npy_file_close(struct npy_file *file)
{
    if (file->stream != NULL)
        fclose(file->stream);
    free(file->path);
    *file = (struct npy_file){0};
}

char *npy_file_describe(const struct npy_file *file)
{
    const struct npy_header *header = &file->header;
    const char *kind = header->kind == 'u' ? "uint" : header->kind == 'i' ? "int" : "float";
    struct text text = {0};
    if (header->kind == 'b')
        text_add(&text, "bool (");
    else
        text_add(&text, "%s%zu (", kind, 8 * header->item_bytes);
    for (int i = 0; i < header->rank; i++)
        text_add(&text, "%s%zu", i > 0 ? ", " : "", header->shape[i]);
    text_add(&text, header->rank == 1 ? ",)" : ")");
    char *words = memory_copy_text(text_view(&text));
    text_release(&text);
    return words;
}

/* items: (count, item_bytes). */
static void swap_bytes(uint8_t *items, size_t count, size_t item_bytes)
{
    for (size_t i = 0; i < count; i++, items += item_bytes)
        for (size_t k = 0; k < item_bytes / 2; k++) {
            uint8_t other = items[k];
            items[k] = items[item_bytes - 1 - k];
            items[item_bytes - 1 - k] = other;
        }
}

enum status npy_file_read(struct npy_file *file, void *out, size_t count)
{
    size_t item_bytes = file->header.item_bytes;
    if (fread(out, item_bytes, count, file->stream) != count)
        return report(file, ferror(file->stream) ? strerror(errno) : "became shorter while it was read");
    if (file->header.big_endian && item_bytes > 1)
        swap_bytes(out, count, item_bytes);
    return STATUS_OK;
}

static int64_t integer_at(const uint8_t *item, size_t item_bytes, bool is_signed)
{
    uint64_t value = 0;
    memcpy(&value, item, item_bytes);
    unsigned spare = 64 - 8 * (unsigned)item_bytes;
    return is_signed ? (int64_t)(value << spare) >> spare : (int64_t)value;
}

enum status npy_file_read_integers(struct npy_file *file, int64_t *out, size_t count)
{
    size_t item_bytes = file->header.item_bytes;
    uint8_t *items = memory_zalloc(count, item_bytes);
    enum status status = npy_file_read(file, items, count);
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        out[i] = integer_at(items + i * item_bytes, item_bytes, file->header.kind == 'i');
    free(items);
    return status;
}
