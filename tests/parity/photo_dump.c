/* Photographs as networks see them, for photo_torch.py. Not a test by itself.
 *
 *     photo_dump COMMANDS OUT
 *
 * Each line of COMMANDS makes one picture of SIZE x SIZE pixels, or draws crops:
 *
 *     center SIZE SHORT_SIDE PATH      the middle, after the shorter side has become SHORT_SIDE
 *     random SIZE STEP PATH            a random crop, of stream number STEP
 *     crops COUNT WIDTH HEIGHT         random crops of a picture of this size, of which there is none
 *
 * OUT: float32 (3, SIZE, SIZE) of each picture, red, green and blue from 0 to 255. To standard output goes a line
 * "left top width height mirrored" for each picture and each crop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/photos/photo_pixels.h"

enum { LINE_BYTES = 4096 };

static void die(const char *what, const char *which)
{
    fprintf(stderr, "photo_dump: %s: %s\n", which, what);
    exit(1);
}

static struct random_stream stream_of(uint64_t step)
{
    return random_stream(1, RANDOM_TEST, 0, step);
}

static void print_view(const struct photo_view *view)
{
    printf("%g %g %g %g %d\n", view->left, view->top, view->width, view->height, view->mirrored);
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die("cannot be read", path);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    if (fread(bytes, 1, *size, file) != *size)
        die("is short", path);
    fclose(file);
    return bytes;
}

static void make_picture(struct photo_maker *maker, bool center, int size, unsigned long number, const char *path,
                         FILE *out)
{
    static const float ones[PHOTO_CHANNELS] = {1, 1, 1}, zeros[PHOTO_CHANNELS] = {0};
    struct image_about about;
    size_t bytes_count, count = PHOTO_CHANNELS * (size_t)size * (size_t)size;
    uint8_t *bytes = read_whole(path, &bytes_count);
    float *pixels = malloc(count * sizeof *pixels);
    if (!photo_open(maker, bytes, bytes_count, &about))
        die(photo_trouble(maker), path);
    struct random_stream stream = stream_of(number);
    struct photo_view view = center ? photo_view_center(about.width, about.height, size, (int)number)
                                    : photo_view_random(&stream, about.width, about.height, size);
    if (!photo_render(maker, &view, ones, zeros, pixels))
        die(photo_trouble(maker), path);
    print_view(&view);
    if (fwrite(pixels, sizeof *pixels, count, out) != count)
        die("cannot be written", "the output");
    free(pixels);
    free(bytes);
}

static void draw_crops(unsigned long count, int width, int height)
{
    for (unsigned long step = 0; step < count; step++) {
        struct random_stream stream = stream_of(step);
        struct photo_view view = photo_view_random(&stream, width, height, 224);
        print_view(&view);
    }
}

static void obey(struct photo_maker *maker, const char *line, FILE *out)
{
    char path[LINE_BYTES];
    int first, second;
    unsigned long number;
    if (sscanf(line, "center %d %lu %4095[^\n]", &first, &number, path) == 3)
        make_picture(maker, true, first, number, path, out);
    else if (sscanf(line, "random %d %lu %4095[^\n]", &first, &number, path) == 3)
        make_picture(maker, false, first, number, path, out);
    else if (sscanf(line, "crops %lu %d %d", &number, &first, &second) == 3)
        draw_crops(number, first, second);
    else
        die("is no command", line);
}

int main(int argc, char **argv)
{
    char line[LINE_BYTES];
    if (argc != 3)
        die("photo_dump COMMANDS OUT", "usage");
    FILE *commands = fopen(argv[1], "r"), *out = fopen(argv[2], "wb");
    if (commands == NULL || out == NULL)
        die("cannot be opened", commands == NULL ? argv[1] : argv[2]);
    struct photo_maker *maker = photo_maker_create();
    while (fgets(line, sizeof line, commands) != NULL)
        obey(maker, line, out);
    photo_maker_destroy(maker);
    fclose(commands);
    if (fclose(out) != 0)
        die("cannot be written", argv[2]);
    return 0;
}
