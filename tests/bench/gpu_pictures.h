/* Pictures for the GPU's benchmarks: a data set of the program, or noise of any size with a colour for every class, so
 * that there is something to learn. */
#ifndef GRAPEVINE_TESTS_GPU_PICTURES_H
#define GRAPEVINE_TESTS_GPU_PICTURES_H

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/dataset.h"
#include "data/memory_set.h"

/* Each class has a colour; a pixel is that, or any value, with even odds. */
static inline void bench_pictures_draw(const struct raw_pictures *raw, size_t plane, int classes)
{
    for (size_t i = 0; i < raw->count; i++) {
        raw->labels[i] = (int32_t)(i % (size_t)classes);
        struct random_stream stream = random_stream(1, RANDOM_TEST, 1, i);
        struct random_stream color = random_stream(1, RANDOM_TEST, 2, (uint64_t)raw->labels[i]);
        for (int channel = 0; channel < 3; channel++) {
            uint8_t *pixels = raw->pixels + (3 * i + (size_t)channel) * plane,
                    base = (uint8_t)random_below(&color, 256);
            uint32_t word = 0;
            for (size_t k = 0; k < plane; k++, word >>= 8) {
                if (k % 4 == 0)
                    word = random_u32(&stream);
                pixels[k] = (word & 1) != 0 ? base : (uint8_t)(word & 255);
            }
        }
    }
}

static inline enum status bench_pictures_noise(size_t count, int size, int classes, struct dataset **out)
{
    struct dataset_kind kind = {.name = "noise",
                                .channels = 3,
                                .height = size,
                                .width = size,
                                .class_count = classes,
                                .flip = true,
                                .mean = {0.5, 0.5, 0.5},
                                .deviation = {0.25, 0.25, 0.25}};
    struct raw_pictures raw;
    raw_pictures_init(&raw, &kind, count);
    bench_pictures_draw(&raw, (size_t)size * (size_t)size, classes);
    *out = memory_set_create(&kind, true, &raw);
    return STATUS_OK;
}

/* "noise": `count` pictures of `size` × `size`; another name: that set's training split, `count` of its pictures. */
static inline enum status bench_pictures_open(const char *name, size_t count, int size, int classes,
                                              struct dataset **out)
{
    const char *path = getenv("GRAPEVINE_DATA");
    struct dataset_params params = {
        .name = name, .path = path != NULL ? path : "", .train = true, .augment = true, .count = count, .seed = 1};
    if (strcmp(name, "noise") == 0)
        return bench_pictures_noise(count, size, classes, out);
    return dataset_open(&params, out);
}

#endif
