/* The safetensors file format: the reader, which trusts nothing. The writer is safetensors_write.c. */
#include "app/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read and written as they lie in memory");

static const uint64_t HEADER_BYTES_MAX = 100000000;  /* the format's own limit */
static const double OFFSET_MAX = 9007199254740992.0; /* 2^53: JSON numbers are exact up to here */

struct type_info {
    const char *name;
    enum safetensors_type type;
    unsigned bytes;
};

static const struct type_info type_table[] = {
    {"F32", SAFETENSORS_F32, 4},    {"I64", SAFETENSORS_I64, 8},       {"F16", SAFETENSORS_F16, 2},
    {"BF16", SAFETENSORS_BF16, 2},  {"F64", SAFETENSORS_OTHER, 8},     {"I32", SAFETENSORS_OTHER, 4},
    {"I16", SAFETENSORS_OTHER, 2},  {"I8", SAFETENSORS_OTHER, 1},      {"U64", SAFETENSORS_OTHER, 8},
    {"U32", SAFETENSORS_OTHER, 4},  {"U16", SAFETENSORS_OTHER, 2},     {"U8", SAFETENSORS_OTHER, 1},
    {"BOOL", SAFETENSORS_OTHER, 1}, {"F8_E4M3", SAFETENSORS_OTHER, 1}, {"F8_E5M2", SAFETENSORS_OTHER, 1},
};

char *safetensors_printable(char out[64], const char *name)
{
    size_t length = strnlen(name, 63);
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    out[length] = '\0';
    return out;
}

char *safetensors_shape(char out[128], int rank, const uint64_t *shape)
{
    size_t used = (size_t)snprintf(out, 128, "(");
    for (int i = 0; i < rank && used < 100; i++)
        used += (size_t)snprintf(out + used, 128 - used, "%s%" PRIu64, i > 0 ? ", " : "", shape[i]);
    snprintf(out + used, 128 - used, ")");
    return out;
}

/* The one message about a file that cannot be used. */
static enum status __attribute__((format(printf, 2, 3))) refuse(const char *path, const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    log_error("%s is not a whole safetensors file: %s; copy or write it again", path, what);
    return STATUS_DATA;
}

/* Text that others write instead of safetensors: PyTorch's own files are zip archives or pickles. */
static bool is_torch_file(const unsigned char *head)
{
    return memcmp(head, "PK\3\4", 4) == 0 || (head[0] == 0x80 && head[1] <= 5);
}

static enum status read_length(const char *path, FILE *stream, uint64_t size, uint64_t *header_bytes)
{
    unsigned char head[8];
    if (fread(head, 1, sizeof head, stream) != sizeof head)
        return refuse(path, "it has %" PRIu64 " bytes, and the length of the header alone takes 8", size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | head[i];
    if (length > HEADER_BYTES_MAX || length > size - 8) {
        if (is_torch_file(head)) {
            log_error("%s is a PyTorch file, not safetensors; convert it with safetensors.torch.save_file("
                      "torch.load(\"%s\", map_location=\"cpu\"), \"model.safetensors\") in Python",
                      path, path);
            return STATUS_DATA;
        }
        return refuse(path, "its header would have %" PRIu64 " bytes, at most %" PRIu64 " are possible", length,
                      size - 8 < HEADER_BYTES_MAX ? size - 8 : HEADER_BYTES_MAX);
    }
    if (length < 2)
        return refuse(path, "its header has %" PRIu64 " bytes, at least 2 are needed", length);
    *header_bytes = length;
    return STATUS_OK;
}

/* A whole number in [0, 2^53], as shapes and offsets are. */
static bool get_whole(const cJSON *item, uint64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > OFFSET_MAX ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *value = (uint64_t)item->valuedouble;
    return true;
}

static const struct type_info *find_type(const cJSON *item)
{
    for (size_t i = 0; cJSON_IsString(item) && i < sizeof type_table / sizeof type_table[0]; i++)
        if (strcmp(item->valuestring, type_table[i].name) == 0)
            return &type_table[i];
    return NULL;
}

/* Shape and number of elements; false if it is no list of whole numbers, too long, or more than any file holds. */
static bool get_shape(const cJSON *item, struct safetensors_tensor *tensor)
{
    if (!cJSON_IsArray(item))
        return false;
    tensor->count = 1;
    const cJSON *length;
    cJSON_ArrayForEach(length, item)
    {
        uint64_t *extent = &tensor->shape[tensor->rank];
        if (tensor->rank == SAFETENSORS_RANK_MAX || !get_whole(length, extent))
            return false;
        if (*extent != 0 && tensor->count > (uint64_t)OFFSET_MAX / *extent)
            return false;
        tensor->count *= *extent;
        tensor->rank++;
    }
    return true;
}

/* One member of the header into `tensor`, whose name the file owns. */
static enum status parse_tensor(const char *path, const cJSON *item, uint64_t data_bytes,
                                struct safetensors_tensor *tensor)
{
    char name[64], shape[128];
    safetensors_printable(name, item->string);
    tensor->name = memory_copy_text(item->string);
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 3)
        return refuse(path, "tensor %s: an object of dtype, shape and data_offsets is expected", name);
    const struct type_info *type = find_type(cJSON_GetObjectItemCaseSensitive(item, "dtype"));
    if (type == NULL)
        return refuse(path, "tensor %s: dtype is missing or unknown; F32, I64, F16, BF16, ... are expected", name);
    tensor->type = type->type;
    tensor->type_name = type->name;
    if (!get_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), tensor))
        return refuse(path, "tensor %s: shape must be a list of at most %d whole numbers", name, SAFETENSORS_RANK_MAX);
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !get_whole(cJSON_GetArrayItem(offsets, 0), &tensor->begin) ||
        !get_whole(cJSON_GetArrayItem(offsets, 1), &tensor->end))
        return refuse(path, "tensor %s: data_offsets must be two whole numbers", name);
    if (tensor->begin > tensor->end || tensor->end > data_bytes)
        return refuse(path,
                      "tensor %s: bytes %" PRIu64 " to %" PRIu64 " are outside of the %" PRIu64 " that follow "
                      "the header",
                      name, tensor->begin, tensor->end, data_bytes);
    if (tensor->count * type->bytes != tensor->end - tensor->begin)
        return refuse(path, "tensor %s: %s of shape %s needs %" PRIu64 " bytes, found %" PRIu64, name, type->name,
                      safetensors_shape(shape, tensor->rank, tensor->shape), tensor->count * type->bytes,
                      tensor->end - tensor->begin);
    return STATUS_OK;
}

static enum status parse_metadata(const cJSON *item, struct safetensors_file *file)
{
    if (!cJSON_IsObject(item) || file->metadata_keys != NULL)
        return refuse(file->path, "__metadata__ must be one object of texts");
    file->metadata_keys = memory_zalloc((size_t)cJSON_GetArraySize(item), sizeof *file->metadata_keys);
    file->metadata_values = memory_zalloc((size_t)cJSON_GetArraySize(item), sizeof *file->metadata_values);
    const cJSON *pair;
    cJSON_ArrayForEach(pair, item)
    {
        if (!cJSON_IsString(pair))
            return refuse(file->path, "__metadata__ must hold texts only");
        file->metadata_keys[file->metadata_count] = memory_copy_text(pair->string);
        file->metadata_values[file->metadata_count++] = memory_copy_text(pair->valuestring);
    }
    return STATUS_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensors_tensor *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static int by_name(const void *a, const void *b)
{
    const struct safetensors_tensor *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* The tensors fill the data without overlap and hole, and no name comes twice. Leaves them sorted by name. */
static enum status check_layout(struct safetensors_file *file, uint64_t data_bytes)
{
    char name[64];
    uint64_t expected = 0;
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_offset);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const struct safetensors_tensor *tensor = &file->tensors[i];
        if (tensor->begin != expected)
            return refuse(file->path,
                          "tensor %s: begins at byte %" PRIu64 ", expected %" PRIu64 " (the tensors must "
                          "follow each other)",
                          safetensors_printable(name, tensor->name), tensor->begin, expected);
        expected = tensor->end;
    }
    if (expected != data_bytes)
        return refuse(file->path, "%" PRIu64 " bytes follow the header, its tensors have %" PRIu64, data_bytes,
                      expected);
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_name);
    for (size_t i = 1; i < file->tensor_count; i++)
        if (by_name(&file->tensors[i - 1], &file->tensors[i]) == 0)
            return refuse(file->path, "tensor %s: named twice", safetensors_printable(name, file->tensors[i].name));
    return STATUS_OK;
}

static enum status parse_header(struct safetensors_file *file, const cJSON *root, uint64_t data_bytes)
{
    if (!cJSON_IsObject(root))
        return refuse(file->path, "its header is not a JSON object");
    file->tensors = memory_zalloc((size_t)cJSON_GetArraySize(root), sizeof *file->tensors);
    const cJSON *item;
    cJSON_ArrayForEach(item, root)
    {
        if (strcmp(item->string, "__metadata__") == 0)
            TRY(parse_metadata(item, file));
        else
            TRY(parse_tensor(file->path, item, data_bytes, &file->tensors[file->tensor_count++]));
    }
    return check_layout(file, data_bytes);
}

/* Read the header's text and check what it says. */
static enum status read_header(struct safetensors_file *file, uint64_t size)
{
    uint64_t length = 0;
    TRY(read_length(file->path, file->stream, size, &length));
    char *header = memory_zalloc(length + 1, 1);
    if (fread(header, 1, length, file->stream) != length) {
        free(header);
        return refuse(file->path, "its header ends early");
    }
    const char *end = NULL;
    cJSON *root = header[0] == '{' ? cJSON_ParseWithLengthOpts(header, length + 1, &end, false) : NULL;
    size_t parsed = root != NULL ? (size_t)(end - header) : 0;
    size_t padding = root != NULL ? strspn(end, " ") : 0;
    free(header);
    enum status status;
    if (root == NULL || parsed + padding != length) {
        status = refuse(file->path, "its header is not JSON");
    } else {
        file->data_offset = 8 + length;
        status = parse_header(file, root, size - file->data_offset);
    }
    cJSON_Delete(root);
    return status;
}

enum status safetensors_open(const char *path, struct safetensors_file **out)
{
    struct stat info;
    int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe that nobody writes to is not waited for */
    FILE *stream = handle >= 0 && fstat(handle, &info) == 0 && S_ISREG(info.st_mode) ? fdopen(handle, "r") : NULL;
    if (stream == NULL) {
        log_error("cannot read the checkpoint %s: %s; give the path of a .safetensors file", path,
                  handle < 0 ? strerror(errno) : "not a file");
        if (handle >= 0)
            close(handle);
        return STATUS_DATA;
    }
    struct safetensors_file *file = memory_zalloc(1, sizeof *file);
    file->path = memory_copy_text(path);
    file->stream = stream;
    enum status status = read_header(file, (uint64_t)info.st_size);
    if (status == STATUS_OK)
        *out = file;
    else
        safetensors_close(file);
    return status;
}

void safetensors_close(struct safetensors_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->tensor_count; i++)
        free(file->tensors[i].name);
    for (size_t i = 0; i < file->metadata_count; i++) {
        free(file->metadata_keys[i]);
        free(file->metadata_values[i]);
    }
    free(file->tensors);
    free(file->metadata_keys);
    free(file->metadata_values);
    fclose(file->stream);
    free(file->path);
    free(file);
}

static int name_against(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct safetensors_tensor *)tensor)->name);
}

const struct safetensors_tensor *safetensors_find(const struct safetensors_file *file, const char *name)
{
    if (file->tensor_count == 0)
        return NULL;
    return bsearch(name, file->tensors, file->tensor_count, sizeof *file->tensors, name_against);
}

const char *safetensors_metadata(const struct safetensors_file *file, const char *key)
{
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata_keys[i], key) == 0)
            return file->metadata_values[i];
    return NULL;
}

static enum status read_bytes(struct safetensors_file *file, const struct safetensors_tensor *tensor, void *out)
{
    size_t bytes = (size_t)(tensor->end - tensor->begin);
    char name[64];
    if (fseeko(file->stream, (off_t)(file->data_offset + tensor->begin), SEEK_SET) != 0 ||
        fread(out, 1, bytes, file->stream) != bytes)
        return refuse(file->path, "tensor %s: its %zu bytes cannot be read", safetensors_printable(name, tensor->name),
                      bytes);
    return STATUS_OK;
}

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16; its subnormals are multiples of 2^−24. */
static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0)
        return (sign != 0 ? -1.0f : 1.0f) * ldexpf((float)fraction, -24);
    if (exponent == 31)
        return float_from_bits(sign | 0x7f800000u | fraction << 13);
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

enum status safetensors_read_floats(struct safetensors_file *file, const struct safetensors_tensor *tensor, float *out)
{
    char name[64];
    if (tensor->type == SAFETENSORS_F32)
        return read_bytes(file, tensor, out);
    if (tensor->type != SAFETENSORS_F16 && tensor->type != SAFETENSORS_BF16) {
        log_error("%s: tensor %s has dtype %s; F32, F16 or BF16 is expected", file->path,
                  safetensors_printable(name, tensor->name), tensor->type_name);
        return STATUS_DATA;
    }
    uint16_t *halves = memory_zalloc((size_t)tensor->count, sizeof *halves);
    enum status status = read_bytes(file, tensor, halves);
    for (size_t i = 0; status == STATUS_OK && i < tensor->count; i++)
        out[i] =
            tensor->type == SAFETENSORS_F16 ? float_from_half(halves[i]) : float_from_bits((uint32_t)halves[i] << 16);
    free(halves);
    return status;
}

enum status safetensors_read_int64(struct safetensors_file *file, const struct safetensors_tensor *tensor, int64_t *out)
{
    char name[64];
    if (tensor->type == SAFETENSORS_I64)
        return read_bytes(file, tensor, out);
    log_error("%s: tensor %s has dtype %s; I64 is expected", file->path, safetensors_printable(name, tensor->name),
              tensor->type_name);
    return STATUS_DATA;
}
