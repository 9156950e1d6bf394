/* The safetensors file format: the writer. */
#include "app/safetensors.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/run_directory.h"
#include "base/atomic_file.h"
#include "base/memory.h"

static size_t entry_bytes(const struct safetensors_entry *entry)
{
    size_t bytes = entry->type == SAFETENSORS_I64 ? 8 : 4;
    for (int i = 0; i < entry->rank; i++)
        bytes *= entry->shape[i];
    return bytes;
}

static cJSON *describe(const struct safetensors_entry *entry, uint64_t begin, uint64_t end)
{
    cJSON *item = cJSON_CreateObject(), *shape = cJSON_AddArrayToObject(item, "shape");
    cJSON_AddStringToObject(item, "dtype", entry->type == SAFETENSORS_I64 ? "I64" : "F32");
    for (int i = 0; i < entry->rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)entry->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
    return item;
}

/* The header's text, for cJSON_free. */
static char *make_header(const struct safetensors_entry *entries, size_t entry_count,
                         const struct safetensors_pair *metadata, size_t metadata_count)
{
    static const enum safetensors_type widest_first[] = {SAFETENSORS_I64, SAFETENSORS_F32};
    cJSON *root = cJSON_CreateObject();
    if (metadata_count > 0) {
        cJSON *pairs = cJSON_AddObjectToObject(root, "__metadata__");
        for (size_t i = 0; i < metadata_count; i++)
            cJSON_AddStringToObject(pairs, metadata[i].key, metadata[i].value);
    }
    uint64_t offset = 0;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < entry_count; i++)
            if (entries[i].type == widest_first[t]) {
                uint64_t end = offset + entry_bytes(&entries[i]);
                cJSON_AddItemToObject(root, entries[i].name, describe(&entries[i], offset, end));
                offset = end;
            }
    char *header = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    assert(header != NULL);
    return header;
}

/* In pieces: the kernel takes many megabytes at once several times slower. */
static void write_bytes(FILE *out, const void *bytes, size_t count)
{
    enum { PIECE = 1 << 20 };
    for (size_t first = 0; first < count; first += PIECE)
        fwrite((const char *)bytes + first, 1, count - first < PIECE ? count - first : PIECE, out);
}

static void write_entry(FILE *out, const struct safetensors_entry *entry)
{
    size_t bytes = entry_bytes(entry);
    if (entry->data != NULL || bytes == 0) {
        write_bytes(out, entry->data, bytes);
        return;
    }
    void *made = memory_alloc_aligned(bytes);
    entry->fill(entry->context, made);
    write_bytes(out, made, bytes);
    memory_free_aligned(made);
}

static void write_data(FILE *out, const struct safetensors_entry *entries, size_t entry_count,
                       enum safetensors_type type)
{
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].type == type)
            write_entry(out, &entries[i]);
}

static long wide_bytes(const struct safetensors_entry *entries, size_t entry_count)
{
    size_t sum = 0;
    for (size_t i = 0; i < entry_count; i++)
        sum += entries[i].type == SAFETENSORS_I64 ? entry_bytes(&entries[i]) : 0;
    return (long)sum;
}

enum status safetensors_write(const char *path, const struct safetensors_entry *entries, size_t entry_count,
                              const struct safetensors_pair *metadata, size_t metadata_count, enum log_level level)
{
    struct atomic_file file;
    TRY(atomic_file_open(&file, path, level, RUN_ELSEWHERE));
    char *header = make_header(entries, entry_count, metadata, metadata_count);
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    for (int i = 0; i < 8; i++)
        fputc((int)((uint64_t)padded >> (8 * i) & 0xff), file.stream);
    fprintf(file.stream, "%s%*s", header, (int)(padded - length), "");
    cJSON_free(header);
    long wide = ftell(file.stream);
    fseek(file.stream, wide_bytes(entries, entry_count), SEEK_CUR);
    write_data(file.stream, entries, entry_count, SAFETENSORS_F32);
    fseek(file.stream, wide, SEEK_SET);
    write_data(file.stream, entries, entry_count, SAFETENSORS_I64);
    return atomic_file_commit(&file);
}
