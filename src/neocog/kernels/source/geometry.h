// Where the cells of a block lie, and the copy of an image with zeros around it that the inner loops read.
//
// A cell is two by two outputs of the convolution. With pooling it is what one pooled value is taken from, and the
// pooling's padding moves the first cell up and left by one; without pooling the last cells may stick out of the
// output.
#ifndef NEOCOG_GEOMETRY_H
#define NEOCOG_GEOMETRY_H

#include <string.h>

#include "blocks.h"
#include "simd.h"

namespace {

struct Geometry {
    neocog_conv conv;
    int64_t rows, columns;                // of the convolution's output
    int64_t shift;                        // how far the first cell begins outside the output, 0 or 1
    int64_t cell_rows, cell_columns;      // cells of an image
    int64_t out_rows, out_columns;        // of y
    int64_t padded_rows, padded_columns;  // of the copy with zeros around it
    int64_t margin;                       // zeros above and left of the image in the copy

    explicit Geometry(const neocog_conv &c) : conv(c) {
        rows = c.height + 2 * c.padding - c.kernel + 1;
        columns = c.width + 2 * c.padding - c.kernel + 1;
        shift = c.pool ? c.pool_padding : 0;
        cell_rows = c.pool ? (rows + 2 * shift) / 2 : (rows + 1) / 2;
        cell_columns = c.pool ? (columns + 2 * shift) / 2 : (columns + 1) / 2;
        out_rows = c.pool ? cell_rows : rows;
        out_columns = c.pool ? cell_columns : columns;
        padded_rows = 2 * cell_rows + c.kernel - 1;
        padded_columns = 2 * cell_columns + c.kernel - 1;
        margin = c.padding + shift;
    }

    bool sound() const {
        return conv.images >= 0 && conv.height > 0 && conv.width > 0 && conv.in_channels > 0 && conv.out_channels > 0 &&
               (conv.kernel == 3 || conv.kernel == 5) && conv.padding >= 0 && conv.padding < conv.kernel &&
               (conv.pool_padding == 0 || conv.pool_padding == 1) && rows > 0 && columns > 0 && out_rows > 0 &&
               out_columns > 0;
    }

    int64_t cells() const { return cell_rows * cell_columns; }
    int64_t outputs() const { return out_rows * out_columns; }
    int64_t input_numbers() const { return conv.height * conv.width * conv.in_channels; }
    int64_t output_numbers() const { return outputs() * conv.out_channels; }

    // The part of the image's lines that the copy holds: from the copy's line `margin` on.
    int64_t held_rows() const { return smaller(conv.height, padded_rows - margin); }
    int64_t held_columns() const { return smaller(conv.width, padded_columns - margin); }
    static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
};

inline int64_t rounded_up(int64_t number, int64_t unit) { return (number + unit - 1) / unit * unit; }

inline void copy_run(float *to, const float *from, int64_t count) {
    for (; count >= LANES; count -= LANES, to += LANES, from += LANES) store(to, load(from));
    for (int64_t i = 0; i < count; i++) to[i] = from[i];
}

// Copy an image into `copy` of `padded_rows` x `padded_columns` pixels of `stride` >= in_channels numbers, channels
// from `begin` to `end`. What lies around the image and behind the channels must be zero beforehand, and stays so.
inline void copy_image(const Geometry &g, const float *image, float *copy, int64_t stride, int64_t begin, int64_t end) {
    const int64_t channels = g.conv.in_channels, columns = g.held_columns();
    for (int64_t row = 0; row < g.held_rows(); row++) {
        const float *from = image + row * g.conv.width * channels + begin;
        float *to = copy + ((row + g.margin) * g.padded_columns + g.margin) * stride;
        if (stride == channels && end - begin == channels) {
            memcpy(to, from, static_cast<size_t>(columns * channels) * sizeof(float));
            continue;
        }
        for (int64_t column = 0; column < columns; column++, from += channels, to += stride)
            copy_run(to, from, end - begin);
    }
}

}  // namespace
#endif
