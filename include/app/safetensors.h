/* The safetensors format: the length of a header (8 bytes, little-endian), the header in JSON, the tensors.
 *
 *     {"__metadata__": {"key": "text"}, "fc.weight": {"dtype": "F32", "shape": [10, 64], "data_offsets": [0, 2560]}}
 *
 * Offsets count from the end of the header; the tensors fill the rest of the file without overlap or hole. The header
 * is padded with spaces to 8 bytes. The format only: what the tensors mean is app/checkpoint.h's.
 *
 * The reader trusts nothing: every length, name, shape and offset is checked against the file before it is used. */
#ifndef GRAPEVINE_APP_SAFETENSORS_H
#define GRAPEVINE_APP_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"

enum { SAFETENSORS_RANK_MAX = 8 };

enum safetensors_type {
    SAFETENSORS_F32,
    SAFETENSORS_I64,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_OTHER /* a type of the format that Grapevine neither writes nor converts */
};

/* A text about the file, under its key. UTF-8. */
struct safetensors_pair {
    const char *key, *value;
};

/* A tensor to be written. */
struct safetensors_entry {
    const char *name;
    enum safetensors_type type; /* F32 or I64 */
    int rank;                   /* 0: a scalar */
    const size_t *shape;        /* borrowed (rank), row-major */
    const void *data;           /* borrowed; NULL: `fill` writes it into memory that lives during its call */
    void (*fill)(void *context, void *to);
    void *context;
};

/* Write a file, whole or not at all (temporary file, fsync, rename). Wider types come first, so that every tensor is
 * aligned to its type; within a type, in the order given. The wider ones are read from memory last: they may tell of
 * the others, as `fill` finds them. STATUS_MACHINE (logged, at `level`): the disk refused it; nothing is left. */
enum status safetensors_write(const char *path, const struct safetensors_entry *entries, size_t entry_count,
                              const struct safetensors_pair *metadata, size_t metadata_count, enum log_level level);

/* A tensor in a file. */
struct safetensors_tensor {
    char *name; /* owned by the file; any text: safetensors_printable before it is shown */
    enum safetensors_type type;
    const char *type_name; /* "F32", static */
    int rank;
    uint64_t shape[SAFETENSORS_RANK_MAX];
    uint64_t count;      /* product of the shape */
    uint64_t begin, end; /* bytes, from the end of the header */
};

struct safetensors_file {
    char *path;           /* owned */
    FILE *stream;         /* owned */
    uint64_t data_offset; /* bytes before the tensors */
    size_t tensor_count;
    struct safetensors_tensor *tensors; /* owned (tensor_count), in the order of their names */
    size_t metadata_count;
    char **metadata_keys;   /* owned (metadata_count), with the texts */
    char **metadata_values; /* owned (metadata_count), with the texts */
};

/* Read and check the header. STATUS_DATA (logged: file, tensor, found, expected): no such file, or a broken one. */
enum status safetensors_open(const char *path, struct safetensors_file **out);
void safetensors_close(struct safetensors_file *file);

/* NULL where there is none of that name. */
const struct safetensors_tensor *safetensors_find(const struct safetensors_file *file, const char *name);
const char *safetensors_metadata(const struct safetensors_file *file, const char *key);

/* The tensor's values as floats into `out` (tensor->count). F32, F16 and BF16; STATUS_DATA (logged) for others and for
 * a file that has become shorter. */
enum status safetensors_read_floats(struct safetensors_file *file, const struct safetensors_tensor *tensor, float *out);

/* The same for I64. */
enum status safetensors_read_int64(struct safetensors_file *file, const struct safetensors_tensor *tensor,
                                   int64_t *out);

/* A name from a file made fit for a message: cut to 63 bytes, control characters as '?'. Returns `out`. */
char *safetensors_printable(char out[64], const char *name);

/* "(64, 3, 3, 3)" into `out`, which is returned. */
char *safetensors_shape(char out[128], int rank, const uint64_t *shape);

#endif
