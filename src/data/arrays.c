/* Images and labels as pairs of NumPy's arrays in a folder, under any of the usual names.
 *
 *     images  uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1 or 3; or float32, float64 in [0, 1], which are
 *             rounded to the nearest of 256 levels: what ToTensor makes of bytes becomes the same bytes again
 *     labels  integers (N) or (N, 1), from 0 on
 *
 * Mean and deviation are measured on the training images, or given. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/memory_set.h"
#include "data/npy_file.h"
#include "data/test_share.h"

enum { SIDE_MAX = 4096, CLASSES_MAX = 100000, ITEMS_AT_ONCE = 1 << 16, NAME_BYTES = 64 };

/* Names of a pair; @ is the split. */
static const struct pair_name {
    const char *images, *labels;
} pair_names[] = {
    {"@_images", "@_labels"}, {"images_@", "labels_@"}, {"x_@", "y_@"},
    {"X_@", "y_@"},           {"@_x", "@_y"},           {"@_X", "@_y"},
    {"@_data", "@_labels"},   {"@_data", "@_targets"},  {"@_images", "@_targets"},
};

/* Of a set that has training images alone. */
static const struct pair_name bare_names[] = {
    {"images", "labels"}, {"x", "y"}, {"X", "y"}, {"data", "labels"}, {"data", "targets"}};

enum { PAIR_NAMES = sizeof pair_names / sizeof pair_names[0], BARE_NAMES = sizeof bare_names / sizeof bare_names[0] };

struct pair {
    struct npy_file images, labels; /* {0}: not there */
    int channels, height, width;
    bool channels_last;
    bool rounded; /* a float was between two levels */
};

/* Both splits as the files have them, and where they lie. */
struct arrays {
    const struct dataset_params *params;
    char *folder; /* owned */
    struct pair training, test;
};

/* --- which files --- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* "FOLDER/NAME.npy" with @ replaced; owned by the caller. */
static char *array_path(const char *folder, const char *name, const char *split)
{
    const char *at = strchr(name, '@');
    if (at == NULL)
        return text_format("%s/%s.npy", folder, name);
    return text_format("%s/%.*s%s%s.npy", folder, (int)(at - name), name, split, at + 1);
}

static enum status open_pair_of(const char *folder, const struct pair_name *name, const char *split, struct pair *out)
{
    char *images = array_path(folder, name->images, split), *labels = array_path(folder, name->labels, split);
    enum status status = STATUS_OK;
    if (is_there(images) && is_there(labels)) {
        status = npy_file_open(images, &out->images);
        if (status == STATUS_OK)
            status = npy_file_open(labels, &out->labels);
    }
    free(images);
    free(labels);
    return status;
}

static bool is_open(const struct pair *pair)
{
    return pair->labels.path != NULL;
}

static enum status open_pair(const char *folder, const struct pair_name *names, size_t count, const char *split,
                             struct pair *out)
{
    for (size_t k = 0; k < count && !is_open(out); k++)
        TRY(open_pair_of(folder, &names[k], split, out));
    return STATUS_OK;
}

static enum status report_nothing(const struct arrays *arrays)
{
    log_error(
        "%s: no pair of arrays is in it; looked for are train_images.npy and train_labels.npy (or x_train.npy and "
        "y_train.npy, images.npy and labels.npy, ...) and, for tests, test_images.npy and test_labels.npy (...); "
        "one .npz file is not read: save each array by itself, np.save(\"train_images.npy\", images)",
        arrays->folder);
    return STATUS_DATA;
}

static enum status find_pairs(struct arrays *arrays)
{
    static const char *const test_splits[] = {"test", "val", "valid"};
    const char *folder = arrays->folder;
    TRY(open_pair(folder, pair_names, PAIR_NAMES, "train", &arrays->training));
    TRY(open_pair(folder, bare_names, BARE_NAMES, "", &arrays->training));
    for (size_t k = 0; k < sizeof test_splits / sizeof test_splits[0]; k++)
        TRY(open_pair(folder, pair_names, PAIR_NAMES, test_splits[k], &arrays->test));
    return is_open(&arrays->training) || is_open(&arrays->test) ? STATUS_OK : report_nothing(arrays);
}

static char *find_folder(const struct dataset_kind *kind, const struct dataset_params *params)
{
    bool named = params->folder != NULL && params->folder[0] != '\0';
    struct stat about;
    char *below = text_format("%s/%s", params->path, named ? params->folder : kind->folder);
    if (named || (stat(below, &about) == 0 && S_ISDIR(about.st_mode)))
        return below;
    free(below);
    return memory_copy_text(params->path);
}

/* --- what they hold --- */

static enum status refuse(const struct npy_file *file, const char *expected)
{
    char *found = npy_file_describe(file);
    log_error("%s: found %s, expected %s", file->path, found, expected);
    free(found);
    return STATUS_DATA;
}

static bool is_channels(size_t length)
{
    return length == 1 || length == 3;
}

static enum status read_image_shape(struct pair *pair)
{
    static const char expected[] =
        "images as uint8 (or float32, float64 in [0, 1]) of shape (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1 "
        "or "
        "3, H and W up to 4096: for instance array.reshape(-1, 28, 28), array[..., :3], array.astype(\"uint8\")";
    const struct npy_header *header = &pair->images.header;
    const size_t *shape = header->shape;
    bool bytes = header->kind == 'u' && header->item_bytes == 1;
    if (!(bytes || header->kind == 'f') || header->rank < 3 || header->count == 0)
        return refuse(&pair->images, expected);
    bool first = header->rank == 4 && is_channels(shape[1]), last = header->rank == 4 && is_channels(shape[3]);
    if (header->rank == 4 && first == last)
        return refuse(&pair->images, expected);
    size_t height = first ? shape[2] : shape[1], width = first ? shape[3] : shape[2];
    if (height > SIDE_MAX || width > SIDE_MAX || shape[0] > UINT32_MAX)
        return refuse(&pair->images, expected);
    pair->channels = header->rank == 3 ? 1 : (int)(first ? shape[1] : shape[3]);
    pair->height = (int)height;
    pair->width = (int)width;
    pair->channels_last = last;
    return STATUS_OK;
}

static enum status check_labels(const struct pair *pair)
{
    const struct npy_header *labels = &pair->labels.header;
    bool column = labels->rank == 2 && labels->shape[1] == 1;
    if (labels->kind == 'f' || (labels->rank != 1 && !column))
        return refuse(&pair->labels, "labels as integers of shape (N,) or (N, 1), from 0 on: for instance "
                                     "array.argmax(1) of one-hot rows, array.astype(\"int64\")");
    if (labels->count == pair->images.header.shape[0])
        return STATUS_OK;
    log_error("%s: found %zu labels, expected one for each of the %zu images in %s", pair->labels.path, labels->count,
              pair->images.header.shape[0], pair->images.path);
    return STATUS_DATA;
}

static enum status check_pair(struct pair *pair)
{
    if (!is_open(pair))
        return STATUS_OK;
    TRY(read_image_shape(pair));
    return check_labels(pair);
}

static enum status check_pairs(struct arrays *arrays)
{
    struct pair *training = &arrays->training, *test = &arrays->test;
    TRY(check_pair(training));
    TRY(check_pair(test));
    if (!is_open(training) || !is_open(test) ||
        (training->channels == test->channels && training->height == test->height && training->width == test->width))
        return STATUS_OK;
    log_error("%s: its images are %d x %d x %d (channels, rows, columns), those in %s are %d x %d x %d: all have to be "
              "alike",
              test->images.path, test->channels, test->height, test->width, training->images.path, training->channels,
              training->height, training->width);
    return STATUS_DATA;
}

/* --- labels --- */

static enum status narrow_labels(const struct pair *pair, const int64_t *wide, int32_t *labels, int *class_count)
{
    for (size_t i = 0; i < pair->labels.header.count; i++) {
        if (wide[i] < 0 || wide[i] >= CLASSES_MAX) {
            log_error("%s: label %zu (the first is 0) is %lld; labels count from 0, up to %d", pair->labels.path, i,
                      (long long)wide[i], CLASSES_MAX - 1);
            return STATUS_DATA;
        }
        labels[i] = (int32_t)wide[i];
        *class_count = labels[i] >= *class_count ? labels[i] + 1 : *class_count;
    }
    return STATUS_OK;
}

/* labels (the pair's): *class_count grows to the largest of them plus one. */
static enum status read_labels(struct pair *pair, int32_t *labels, int *class_count)
{
    int64_t *wide = memory_zalloc(pair->labels.header.count, sizeof *wide);
    enum status status = npy_file_read_integers(&pair->labels, wide, pair->labels.header.count);
    if (status == STATUS_OK)
        status = narrow_labels(pair, wide, labels, class_count);
    free(wide);
    return status;
}

/* --- pixels --- */

static enum status to_bytes(struct pair *pair, const void *items, size_t first, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        double value = pair->images.header.item_bytes == 4 ? ((const float *)items)[i] : ((const double *)items)[i];
        if (!(value >= 0 && value <= 1)) {
            log_error("%s: item %zu is %g; floats are read from 0 to 1: save the images as bytes, before they are "
                      "normalised: np.save(\"NAME.npy\", images.astype(\"uint8\"))",
                      pair->images.path, first + i, value);
            return STATUS_DATA;
        }
        out[i] = (uint8_t)rint(255 * value);
        pair->rounded |= fabs(255 * value - out[i]) > 1e-3;
    }
    return STATUS_OK;
}

static enum status read_floats(struct pair *pair, uint8_t *out)
{
    size_t total = pair->images.header.count;
    void *items = memory_zalloc(ITEMS_AT_ONCE, pair->images.header.item_bytes);
    enum status status = STATUS_OK;
    for (size_t done = 0, count; done < total && status == STATUS_OK; done += count) {
        count = total - done < ITEMS_AT_ONCE ? total - done : ITEMS_AT_ONCE;
        status = npy_file_read(&pair->images, items, count);
        if (status == STATUS_OK)
            status = to_bytes(pair, items, done, count, out + done);
    }
    free(items);
    if (status == STATUS_OK && pair->rounded)
        log_info("%s: its floats are rounded to 256 levels", pair->images.path);
    return status;
}

/* One image, (plane, channels) to (channels, plane), by way of `room` of its size. */
static void put_channels_first(uint8_t *pixels, size_t plane, size_t channels, uint8_t *room)
{
    memcpy(room, pixels, plane * channels);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++)
            pixels[c * plane + i] = room[i * channels + c];
}

static enum status read_pixels(struct pair *pair, uint8_t *out)
{
    size_t plane = (size_t)pair->height * (size_t)pair->width, channels = (size_t)pair->channels;
    if (pair->images.header.kind == 'u')
        TRY(npy_file_read(&pair->images, out, pair->images.header.count));
    else
        TRY(read_floats(pair, out));
    if (!pair->channels_last || channels == 1)
        return STATUS_OK;
    uint8_t *room = memory_zalloc(plane, channels);
    for (size_t i = 0; i < pair->images.header.shape[0]; i++)
        put_channels_first(out + i * plane * channels, plane, channels, room);
    free(room);
    return STATUS_OK;
}

static enum status read_pair(struct pair *pair, const struct dataset_kind *kind, struct raw_pictures *raw)
{
    int ignored = 0;
    raw_pictures_init(raw, kind, pair->images.header.shape[0]);
    TRY(read_labels(pair, raw->labels, &ignored));
    return read_pixels(pair, raw->pixels);
}

/* --- mean and deviation --- */

/* From how often each of 256 levels occurs: whatever the order, the same to the last bit. */
static void measure_channel(const uint64_t *levels, double *mean, double *deviation)
{
    double count = 0, sum = 0, squares = 0;
    for (int v = 0; v < 256; v++) {
        count += (double)levels[v];
        sum += (double)levels[v] * v;
    }
    double middle = sum / count;
    for (int v = 0; v < 256; v++)
        squares += (double)levels[v] * (v - middle) * (v - middle);
    *mean = middle / 255;
    *deviation = squares > 0 ? sqrt(squares / count) / 255 : 1;
}

static void measure(struct dataset_kind *kind, const struct raw_pictures *raw)
{
    size_t plane = (size_t)kind->height * (size_t)kind->width;
    uint64_t levels[MEMORY_SET_CHANNELS_MAX][256] = {0};
    const uint8_t *pixels = raw->pixels;
    for (size_t i = 0; i < raw->count; i++)
        for (int c = 0; c < kind->channels; c++, pixels += plane)
            for (size_t k = 0; k < plane; k++)
                levels[c][pixels[k]]++;
    for (int c = 0; c < kind->channels; c++)
        measure_channel(levels[c], &kind->mean[c], &kind->deviation[c]);
}

/* STATUS_USAGE (logged): as many have to be given as there are channels. */
static enum status take_given(struct dataset_kind *kind, const struct dataset_params *params)
{
    if (params->mean_count != kind->channels || params->deviation_count != kind->channels) {
        log_error("data.mean, data.deviation: %d and %d numbers, the images have %d channel%s; give one for each, or "
                  "neither, and they are measured",
                  params->mean_count, params->deviation_count, kind->channels, kind->channels == 1 ? "" : "s");
        return STATUS_USAGE;
    }
    memcpy(kind->mean, params->mean, (size_t)kind->channels * sizeof kind->mean[0]);
    memcpy(kind->deviation, params->deviation, (size_t)kind->channels * sizeof kind->deviation[0]);
    return STATUS_OK;
}

/* --- splits --- */

static uint64_t digest_place(const void *context, uint64_t seed, size_t i)
{
    uint64_t place = i;
    (void)context;
    return digest_bytes(seed, &place, sizeof place);
}

/* What of the training arrays the split keeps: *places (*count), owned by the caller. */
static enum status share_places(const struct arrays *arrays, const struct raw_pictures *raw, bool train,
                                uint32_t **places, size_t *count)
{
    struct dataset_params params = *arrays->params;
    const struct test_share share = {
        .count = raw->count, .labels = raw->labels, .digest = digest_place, .where = arrays->training.images.path};
    params.train = train;
    return test_share_choose(&share, &params, places, count);
}

static void keep_places(struct raw_pictures *raw, const struct dataset_kind *kind, const uint32_t *places, size_t count)
{
    size_t bytes = (size_t)kind->channels * (size_t)kind->height * (size_t)kind->width;
    for (size_t k = 0; k < count; k++) {
        memmove(raw->pixels + k * bytes, raw->pixels + places[k] * bytes, bytes);
        raw->labels[k] = raw->labels[places[k]];
    }
    raw->count = count;
}

/* The images trained on, in `raw`; where `tests` is not NULL, that receives those of a share that is kept for tests. */
static enum status read_training(struct arrays *arrays, const struct dataset_kind *kind, struct raw_pictures *raw,
                                 struct raw_pictures *tests)
{
    TRY(read_pair(&arrays->training, kind, raw));
    if (is_open(&arrays->test))
        return STATUS_OK;
    size_t bytes = (size_t)kind->channels * (size_t)kind->height * (size_t)kind->width;
    for (int train = tests != NULL ? 0 : 1; train < 2; train++) {
        uint32_t *places;
        size_t count;
        TRY(share_places(arrays, raw, train, &places, &count));
        if (!train) {
            raw_pictures_init(tests, kind, count);
            for (size_t k = 0; k < count; k++) {
                memcpy(tests->pixels + k * bytes, raw->pixels + places[k] * bytes, bytes);
                tests->labels[k] = raw->labels[places[k]];
            }
        } else {
            keep_places(raw, kind, places, count);
        }
        free(places);
    }
    return STATUS_OK;
}

static enum status report_alone(const struct arrays *arrays)
{
    const struct dataset_params *params = arrays->params;
    if (params->train)
        log_error("%s: arrays for tests are there, but none to train on: train_images.npy and train_labels.npy (or "
                  "x_train.npy and y_train.npy, ...)",
                  arrays->folder);
    else
        log_error("%s: arrays for tests are there, but not the training images, on which mean and deviation are "
                  "measured: give data.mean and data.deviation, which stand in the run's summary.json",
                  arrays->folder);
    return params->train ? STATUS_DATA : STATUS_USAGE;
}

/* The images of the split, with mean and deviation in `kind`. */
static enum status read_split(struct arrays *arrays, struct dataset_kind *kind, struct raw_pictures *raw)
{
    const struct dataset_params *params = arrays->params;
    bool given = params->mean_count > 0 || params->deviation_count > 0, shared = !is_open(&arrays->test);
    struct raw_pictures training = {0};
    if (!is_open(&arrays->training) && (params->train || !given))
        return report_alone(arrays);
    if (given)
        TRY(take_given(kind, params));
    if (!params->train && !shared)
        TRY(read_pair(&arrays->test, kind, raw));
    if (!params->train && !shared && given)
        return STATUS_OK;
    enum status status = read_training(arrays, kind, &training, params->train || !shared ? NULL : raw);
    if (status == STATUS_OK && !given)
        measure(kind, &training);
    if (params->train) {
        *raw = training;
        return status;
    }
    raw_pictures_release(&training);
    return status;
}

/* Classes: of both arrays together, so that both splits agree; or as many as are asked for. */
static enum status count_classes(struct arrays *arrays, int *class_count)
{
    int found = 0;
    struct pair *pairs[] = {&arrays->training, &arrays->test};
    for (int k = 0; k < 2; k++) {
        if (!is_open(pairs[k]))
            continue;
        int32_t *labels = memory_zalloc(pairs[k]->labels.header.count, sizeof *labels);
        enum status status = read_labels(pairs[k], labels, &found);
        free(labels);
        TRY(status);
        if (fseek(pairs[k]->labels.stream, (long)pairs[k]->labels.header.data_at, SEEK_SET) != 0) {
            log_error("%s: %s", pairs[k]->labels.path, strerror(errno));
            return STATUS_DATA;
        }
    }
    if (arrays->params->class_count > 0 && arrays->params->class_count < found) {
        log_error("data.classes: %d, but labels in %s go up to %d; give %d or more, or 0 for as many as there are",
                  arrays->params->class_count, arrays->folder, found - 1, found);
        return STATUS_USAGE;
    }
    *class_count = arrays->params->class_count > 0 ? arrays->params->class_count : found;
    return STATUS_OK;
}

static enum status open_set(struct arrays *arrays, struct dataset_kind kind, struct dataset **out)
{
    const struct dataset_params *params = arrays->params;
    struct raw_pictures raw = {0};
    enum status status;
    TRY(find_pairs(arrays));
    TRY(check_pairs(arrays));
    TRY(count_classes(arrays, &kind.class_count));
    const struct pair *pair = is_open(&arrays->training) ? &arrays->training : &arrays->test;
    kind.channels = pair->channels;
    kind.height = pair->height;
    kind.width = pair->width;
    kind.flip = pair->channels == MEMORY_SET_CHANNELS_MAX;
    TRY_GOTO(read_split(arrays, &kind, &raw), release);
    TRY_GOTO(memory_set_count(&kind, params, raw.count, &raw.count), release);
    *out = memory_set_create(&kind, params->augment, &raw);
    (*out)->is_share = !is_open(&arrays->test);
    memory_set_describe(*out, &kind, (*out)->is_share ? test_share_note(params, pair->images.path) : NULL);
release:
    raw_pictures_release(&raw);
    return status;
}

enum status arrays_open(const struct dataset_kind *kind, const struct dataset_params *params, struct dataset **out)
{
    struct arrays arrays = {.params = params, .folder = find_folder(kind, params)};
    enum status status = open_set(&arrays, *kind, out);
    npy_file_close(&arrays.training.images);
    npy_file_close(&arrays.training.labels);
    npy_file_close(&arrays.test.images);
    npy_file_close(&arrays.test.labels);
    free(arrays.folder);
    return status;
}
