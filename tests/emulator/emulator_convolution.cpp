/* Convolutions as matrix products over unfolded images: (pixels of y, taps × channels of x). */
#include "emulator_convolution.h"

#include <algorithm>
#include <vector>

namespace emulator
{

enum { BATCH, CHANNELS, HEIGHT, WIDTH };

static size_t pixels(const tensor_layout &t)
{
    return (size_t)(t.sizes[HEIGHT] * t.sizes[WIDTH]);
}

static size_t channels(const tensor_layout &t)
{
    return (size_t)t.sizes[CHANNELS];
}

/* Elements of one image of y, or of one filter: taps × channels. */
static size_t unfolded(const convolution &c)
{
    return pixels(c.w) * channels(c.w);
}

static size_t pixel_offset(const tensor_layout &t, int64_t image, size_t pixel)
{
    int64_t row = (int64_t)pixel / t.sizes[WIDTH], column = (int64_t)pixel % t.sizes[WIDTH];
    return (size_t)(image * t.strides[BATCH] + row * t.strides[HEIGHT] + column * t.strides[WIDTH]);
}

/* One image, or one filter, as (pixels, channels) floats. */
static void load_image(const convolution &c, const tensor_layout &t, const void *from, int64_t image, float *to)
{
    for (size_t i = 0; i < pixels(t); i++)
        load_many(t.type, from, pixel_offset(t, image, i), (size_t)t.strides[CHANNELS], channels(t),
                  to + i * channels(t));
    if (c.tf32)
        round_to_tf32(to, pixels(t) * channels(t));
}

static void store_image(const tensor_layout &t, void *to, int64_t image, const double *from)
{
    for (size_t i = 0; i < pixels(t); i++) {
        for (size_t j = 0; j < channels(t); j++)
            store(t.type, to, pixel_offset(t, image, i) + j * (size_t)t.strides[CHANNELS],
                  (float)from[i * channels(t) + j]);
    }
}

/* (filters, taps × channels) */
static std::vector<float> load_filters(const convolution &c, const void *w)
{
    std::vector<float> filters((size_t)c.w.sizes[BATCH] * unfolded(c));
    for (int64_t k = 0; k < c.w.sizes[BATCH]; k++)
        load_image(c, c.w, w, k, filters.data() + (size_t)k * unfolded(c));
    return filters;
}

template <typename T> static std::vector<T> transpose(const std::vector<T> &from, size_t rows, size_t columns)
{
    std::vector<T> to(from.size());
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
    }
    return to;
}

/* Call visit(element of the unfolded image, element of the image, count): runs of channels that correspond. */
template <typename V> static void visit_unfolded(const convolution &c, V visit)
{
    size_t run = channels(c.x), at = 0;
    for (int64_t p = 0; p < c.y.sizes[HEIGHT]; p++) {
        for (int64_t q = 0; q < c.y.sizes[WIDTH]; q++) {
            for (int64_t r = 0; r < c.w.sizes[HEIGHT]; r++) {
                for (int64_t s = 0; s < c.w.sizes[WIDTH]; s++, at += run) {
                    int64_t row = p * c.stride[0] - c.pad[0] + r * c.dilation[0];
                    int64_t column = q * c.stride[1] - c.pad[1] + s * c.dilation[1];
                    if (row >= 0 && row < c.x.sizes[HEIGHT] && column >= 0 && column < c.x.sizes[WIDTH])
                        visit(at, (size_t)(row * c.x.sizes[WIDTH] + column) * run, run);
                }
            }
        }
    }
}

static std::vector<float> unfold_image(const convolution &c, const void *x, int64_t image)
{
    std::vector<float> flat(pixels(c.x) * channels(c.x)), columns(pixels(c.y) * unfolded(c), 0.0f);
    load_image(c, c.x, x, image, flat.data());
    visit_unfolded(c, [&](size_t to, size_t from, size_t count) {
        std::copy(flat.data() + from, flat.data() + from + count, columns.data() + to);
    });
    return columns;
}

/* As GENSTATS sees y: rounded to its type. */
static void add_statistics(const convolution &c, const std::vector<double> &image, std::vector<double> *sums,
                           std::vector<double> *squares)
{
    for (size_t i = 0; i < image.size(); i++) {
        float rounded;
        store(c.y.type, &rounded, 0, (float)image[i]);
        double value = load(c.y.type, &rounded, 0);
        (*sums)[i % channels(c.y)] += value;
        (*squares)[i % channels(c.y)] += value * value;
    }
}

static void convolve_forward(const convolution &c, const void *x, const void *w, void *y, float *sums, float *squares)
{
    size_t filters = channels(c.y);
    std::vector<float> matrix = transpose(load_filters(c, w), filters, unfolded(c));
    std::vector<double> sum(filters, 0.0), square(filters, 0.0);
    for (int64_t n = 0; n < c.x.sizes[BATCH]; n++) {
        std::vector<double> image(pixels(c.y) * filters, 0.0);
        multiply(pixels(c.y), filters, unfolded(c), unfold_image(c, x, n).data(), matrix.data(), image.data());
        if (y)
            store_image(c.y, y, n, image.data());
        if (sums)
            add_statistics(c, image, &sum, &square);
    }
    for (size_t k = 0; sums && k < filters; k++) {
        sums[k] = (float)sum[k];
        squares[k] = (float)square[k];
    }
}

static void convolve_backward_data(const convolution &c, void *d_x, const void *w, const void *d_y)
{
    size_t filters = channels(c.y);
    std::vector<float> matrix = load_filters(c, w), d_image(pixels(c.y) * filters);
    for (int64_t n = 0; n < c.x.sizes[BATCH]; n++) {
        load_image(c, c.y, d_y, n, d_image.data());
        std::vector<double> columns(pixels(c.y) * unfolded(c), 0.0), sums(pixels(c.x) * channels(c.x), 0.0);
        multiply(pixels(c.y), unfolded(c), filters, d_image.data(), matrix.data(), columns.data());
        visit_unfolded(c, [&](size_t from, size_t to, size_t count) {
            for (size_t i = 0; i < count; i++)
                sums[to + i] += columns[from + i];
        });
        store_image(c.x, d_x, n, sums.data());
    }
}

static void convolve_backward_filter(const convolution &c, const void *x, void *d_w, const void *d_y)
{
    size_t filters = channels(c.y);
    std::vector<float> d_image(pixels(c.y) * filters);
    std::vector<double> sums(unfolded(c) * filters, 0.0);
    for (int64_t n = 0; n < c.x.sizes[BATCH]; n++) {
        load_image(c, c.y, d_y, n, d_image.data());
        std::vector<float> columns = transpose(unfold_image(c, x, n), pixels(c.y), unfolded(c));
        multiply(unfolded(c), filters, pixels(c.y), columns.data(), d_image.data(), sums.data());
    }
    std::vector<double> d_filters = transpose(sums, unfolded(c), filters);
    for (size_t k = 0; k < filters; k++)
        store_image(c.w, d_w, (int64_t)k, d_filters.data() + k * unfolded(c));
}

void convolve(const convolution &c, void *x, void *w, void *y, float *sums, float *squares)
{
    switch (c.kind) {
    case FORWARD:
        convolve_forward(c, x, w, y, sums, squares);
        break;
    case BACKWARD_DATA:
        convolve_backward_data(c, x, w, y);
        break;
    case BACKWARD_FILTER:
        convolve_backward_filter(c, x, w, y);
        break;
    }
}

} // namespace emulator
