/* Arrays as NumPy's np.save writes them (.npy, versions 1 to 3): the header, and items as bytes. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_NPY_FILE_H
#define GRAPEVINE_SRC_DATA_NPY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

enum { NPY_RANK_MAX = 4, NPY_TROUBLE_BYTES = 256 };

struct npy_header {
    char kind; /* of the items: 'u', 'i', 'f', or 'b' for truth values */
    bool big_endian;
    size_t item_bytes; /* 1, 2, 4 or 8 */
    int rank;          /* 0 to NPY_RANK_MAX */
    size_t shape[NPY_RANK_MAX];
    size_t count;   /* items: the product of the shape */
    size_t data_at; /* where they begin in the file */
};

/* Read the header at the beginning of a file of `size` bytes of which `bytes` (available) are here. False: `trouble`
 * (NPY_TROUBLE_BYTES) says why, and what to do. The size of the file is what the header says. */
bool npy_header_parse(const uint8_t *bytes, size_t available, uint64_t size, struct npy_header *out, char *trouble);

struct npy_file {
    char *path;   /* owned */
    FILE *stream; /* owned; at the next item */
    struct npy_header header;
};

/* STATUS_DATA (logged): it cannot be read, or its header is not as it should be. */
enum status npy_file_open(const char *path, struct npy_file *out);
void npy_file_close(struct npy_file *file); /* {0} is fine */
/* "uint8 (60000, 28, 28)", for messages; owned by the caller. */
char *npy_file_describe(const struct npy_file *file);

/* The next `count` items into `out` (count), in the machine's order of bytes. STATUS_DATA (logged). */
enum status npy_file_read(struct npy_file *file, void *out, size_t count);
/* The same, of any integer type, as int64. */
enum status npy_file_read_integers(struct npy_file *file, int64_t *out, size_t count);

#endif
