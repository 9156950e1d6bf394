/* CIFAR-10 and CIFAR-100, binary version: records of label bytes followed by 3072 bytes of red, green and blue planes.
 *
 * Any whole number of records is a valid file, so that small folders serve for tests, if all training files have as
 * many, and if it is no published one that was cut short; unless data.train_count or data.test_count asks for a part
 * anyway. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "data/known_sets.h"
#include "data/memory_set.h"
#include "data/set_folder.h"

enum { CIFAR_PICTURE_BYTES = 3 * 32 * 32, CIFAR_FILES_MAX = 5 };

struct cifar_layout {
    const char *train_files[CIFAR_FILES_MAX]; /* (train_file_count) */
    size_t train_file_count;
    const char *test_file;
    const char *python_file;            /* of the version in Python's pickles: is in its folder */
    size_t label_bytes;                 /* the last of them is the class */
    const char *other_name;             /* the other set of the family, */
    size_t other_label_bytes;           /* and its label_bytes */
    size_t train_records, test_records; /* per published file */
};

static const struct cifar_layout cifar10_layout = {
    .train_files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
    .train_file_count = 5,
    .test_file = "test_batch.bin",
    .python_file = "data_batch_1",
    .label_bytes = 1,
    .other_name = "cifar100",
    .other_label_bytes = 2,
    .train_records = 10000,
    .test_records = 10000,
};

/* A coarse label (of 20 groups) stands before the fine one, which is the class. */
static const struct cifar_layout cifar100_layout = {
    .train_files = {"train.bin"},
    .train_file_count = 1,
    .test_file = "test.bin",
    .python_file = "train",
    .label_bytes = 2,
    .other_name = "cifar10",
    .other_label_bytes = 1,
    .train_records = 50000,
    .test_records = 10000,
};

struct cifar_reader {
    const struct dataset_kind *kind;
    const struct dataset_params *params;
    const struct cifar_layout *layout;
    size_t record_bytes;
};

static const char *file_name(const struct cifar_reader *reader, size_t i)
{
    return reader->params->train ? reader->layout->train_files[i] : reader->layout->test_file;
}

static size_t file_count(const struct cifar_reader *reader)
{
    return reader->params->train ? reader->layout->train_file_count : 1;
}

/* One message about a file: what is wrong with it, then what was expected and the remedy. */
static enum status report(const struct cifar_reader *reader, const char *path, const char *trouble)
{
    size_t records = reader->params->train ? reader->layout->train_records : reader->layout->test_records;
    char *remedy = dataset_remedy(reader->kind, reader->params);
    log_error("%s: %s; expected records of %zu bytes (as published: %zu records, %zu bytes); %s", path, trouble,
              reader->record_bytes, records, records * reader->record_bytes, remedy);
    free(remedy);
    return STATUS_DATA;
}

static size_t other_record(const struct cifar_reader *reader)
{
    return reader->layout->other_label_bytes + CIFAR_PICTURE_BYTES;
}

static enum status count_records(const struct cifar_reader *reader, const char *path, size_t *records)
{
    char trouble[128];
    struct stat about;
    if (stat(path, &about) != 0) {
        snprintf(trouble, sizeof trouble, "%s", strerror(errno));
        return report(reader, path, trouble);
    }
    size_t size = (size_t)about.st_size;
    if (S_ISREG(about.st_mode) && size > 0 && size % reader->record_bytes != 0 && size % other_record(reader) == 0) {
        snprintf(trouble, sizeof trouble, "found %zu bytes, which fit the records of %s (%zu bytes)", size,
                 reader->layout->other_name, other_record(reader));
        return report(reader, path, trouble);
    }
    if (!S_ISREG(about.st_mode) || size == 0 || size % reader->record_bytes != 0) {
        snprintf(trouble, sizeof trouble, "found %zu bytes, not a whole number of records: short or corrupt", size);
        return report(reader, path, trouble);
    }
    *records = size / reader->record_bytes;
    return STATUS_OK;
}

static enum status read_records(const struct cifar_reader *reader, const char *path, FILE *file, size_t records,
                                struct raw_pictures *raw, size_t first)
{
    char trouble[128];
    uint8_t label[2];
    for (size_t i = 0; i < records; i++) {
        uint8_t *pixels = raw->pixels + (first + i) * CIFAR_PICTURE_BYTES;
        if (fread(label, 1, reader->layout->label_bytes, file) != reader->layout->label_bytes ||
            fread(pixels, 1, CIFAR_PICTURE_BYTES, file) != CIFAR_PICTURE_BYTES) {
            snprintf(trouble, sizeof trouble, "reading stopped in record %zu: %s", i,
                     ferror(file) ? strerror(errno) : "end of file");
            return report(reader, path, trouble);
        }
        int class = label[reader->layout->label_bytes - 1];
        if (class >= reader->kind->class_count) {
            snprintf(trouble, sizeof trouble, "record %zu (the first is 0) has label %d, allowed are 0 to %d: corrupt",
                     i, class, reader->kind->class_count - 1);
            return report(reader, path, trouble);
        }
        raw->labels[first + i] = class;
    }
    return STATUS_OK;
}

static enum status read_file(const struct cifar_reader *reader, const char *path, size_t records,
                             struct raw_pictures *raw, size_t first)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return report(reader, path, strerror(errno));
    enum status status = read_records(reader, path, file, records, raw, first);
    fclose(file);
    return status;
}

/* Files that were cut between two records: the first that differs from most others, or from the published one. */
static enum status expect_equal(const struct cifar_reader *reader, char *const paths[], const size_t *records)
{
    char trouble[192];
    size_t files = file_count(reader), most = 0;
    for (size_t i = 0; i < files; i++)
        most = records[i] > most ? records[i] : most;
    for (size_t i = 0; i < files && reader->params->count == 0; i++) {
        if (records[i] == most)
            continue;
        snprintf(trouble, sizeof trouble,
                 "found %zu records, where another file of the set has %zu: cut short (if that "
                 "is meant, data.%s_count says how many images are wanted)",
                 records[i], most, reader->params->train ? "train" : "test");
        return report(reader, paths[i], trouble);
    }
    return STATUS_OK;
}

/* labels (count): those that were read of file i, which has `records`. */
static enum status expect_known(const struct cifar_reader *reader, size_t i, const char *path, size_t records,
                                const int32_t *labels, size_t count)
{
    char trouble[192];
    TRY(known_file_expect(reader->kind->name, file_name(reader, i), path, labels, count));
    const struct known_file *known = known_file_find(labels, count);
    if (known == NULL || reader->params->count > 0 || records == known_file_count(known))
        return STATUS_OK;
    snprintf(trouble, sizeof trouble,
             "found the first %zu of the %zu records of the published file: cut short (if that "
             "is meant, data.%s_count says how many images are wanted)",
             records, known_file_count(known), reader->params->train ? "train" : "test");
    return report(reader, path, trouble);
}

static enum status read_all(const struct cifar_reader *reader, char *const paths[], struct raw_pictures *raw)
{
    size_t records[CIFAR_FILES_MAX], available = 0, count, files = file_count(reader);
    for (size_t i = 0; i < files; i++) {
        TRY(count_records(reader, paths[i], &records[i]));
        available += records[i];
    }
    TRY(expect_equal(reader, paths, records));
    TRY(memory_set_count(reader->kind, reader->params, available, &count));
    raw_pictures_init(raw, reader->kind, count);
    for (size_t i = 0, first = 0; i < files && first < count; i++) {
        size_t wanted = records[i] < count - first ? records[i] : count - first;
        TRY(read_file(reader, paths[i], wanted, raw, first));
        TRY(expect_known(reader, i, paths[i], records[i], raw->labels + first, wanted));
        first += wanted;
    }
    return STATUS_OK;
}

/* Python's version of the set, which torchvision downloads: in data.path, or data.path itself. */
static char *find_pickles(const struct cifar_reader *reader)
{
    const char *path = reader->params->path, *name = reader->kind->python_folder;
    char *places[] = {text_format("%s/%s", path, name), text_format("%s/%s/%s", path, reader->kind->name, name),
                      text_format("%s", path)};
    char *found = NULL;
    for (int k = 0; k < 3; k++) {
        char *file = text_format("%s/%s", places[k], reader->layout->python_file);
        if (found == NULL && access(file, F_OK) == 0)
            found = places[k];
        else
            free(places[k]);
        free(file);
    }
    return found;
}

/* Where the set is not there, but its Python version is, that is the message. */
static enum status expect_binary(const struct cifar_reader *reader, const char *first)
{
    char *pickles = access(first, F_OK) == 0 ? NULL : find_pickles(reader);
    if (pickles == NULL)
        return STATUS_OK;
    log_error("%s: this is the set's Python version (pickles), and the binary one is read; make it of these files: "
              "scripts/cifar_binary.py %s, or download it: scripts/get_data.sh %s %s",
              pickles, pickles, reader->kind->name, reader->params->path);
    free(pickles);
    return STATUS_DATA;
}

static enum status cifar_open(const struct cifar_reader *reader, struct dataset **out)
{
    char *paths[CIFAR_FILES_MAX] = {0};
    struct raw_pictures raw = {0};
    char *folder = set_folder_find(reader->kind, reader->params, file_name(reader, 0));
    for (size_t i = 0; i < file_count(reader); i++)
        paths[i] = set_file_find(folder, file_name(reader, i));
    free(folder);
    enum status status = expect_binary(reader, paths[0]);
    if (status == STATUS_OK)
        status = read_all(reader, paths, &raw);
    if (status == STATUS_OK)
        *out = memory_set_create(reader->kind, reader->params->augment, &raw);
    raw_pictures_release(&raw);
    for (size_t i = 0; i < file_count(reader); i++)
        free(paths[i]);
    return status;
}

enum status cifar10_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct cifar_reader reader = {kind, params, &cifar10_layout, cifar10_layout.label_bytes + CIFAR_PICTURE_BYTES};
    return cifar_open(&reader, out);
}

enum status cifar100_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct cifar_reader reader = {kind, params, &cifar100_layout, cifar100_layout.label_bytes + CIFAR_PICTURE_BYTES};
    return cifar_open(&reader, out);
}
