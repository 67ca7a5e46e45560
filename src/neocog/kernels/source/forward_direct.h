// The convolution as its definition reads: for each tile of outputs, sum over the kernel's rows, columns and channels.
//
// A tile of 2 x COLUMNS pixels by VECTORS x LANES output channels lies in registers. A kernel's row is one run of
// kernel * in_channels numbers in the padded copy of the image, so that the inner loop has nothing to jump over.
#ifndef NEOCOG_FORWARD_DIRECT_H
#define NEOCOG_FORWARD_DIRECT_H

#include "epilogue.h"
#include "threads.h"
#include "transpose.h"

namespace {

// The weights as the inner loop reads them: (group of vectors, kernel row, kernel column and in channel, lanes of the
// group).
struct PackDirect {
    typedef NoMemory Memory;
    const Geometry &g;
    const float *weight, *bias;
    int64_t width;  // channels of a group
    float *packed, *biases;

    // The LANES output channels from number * LANES on.
    void part(int64_t number, Memory &) const {
        const int64_t out = number * LANES, outs = g.conv.out_channels;
        const int64_t taps = int64_t(g.conv.kernel) * g.conv.kernel * g.conv.in_channels;
        float *to = packed + out / width * taps * width + out % width;
        for (int64_t lane = 0; lane < LANES; lane++)
            biases[out + lane] = out + lane < outs && bias != nullptr ? bias[out + lane] : 0.0f;
        int64_t tap = 0;
#if defined(__AVX512F__)
        for (; tap < taps && out + LANES <= outs; tap += LANES) {
            vec rows[LANES];
            const lanes held = first(taps - tap);
            for (int64_t lane = 0; lane < LANES; lane++) rows[lane] = load(weight + (out + lane) * taps + tap, held);
            transpose(rows);
            for (int64_t i = 0; i < Geometry::smaller(LANES, taps - tap); i++) store(to + (tap + i) * width, rows[i]);
        }
#endif
        for (; tap < taps; tap++)
            for (int64_t lane = 0; lane < LANES; lane++)
                to[tap * width + lane] = out + lane < outs ? weight[(out + lane) * taps + tap] : 0.0f;
    }
};

template <int COLUMNS, int VECTORS>
inline __attribute__((always_inline)) void direct_tile(const Geometry &g, const float *pixels, int64_t line,
                                                       int64_t stride, const float *weights, const float *biases,
                                                       int64_t image, int64_t row, int64_t column, int64_t channel,
                                                       const Outputs &outputs) {
    vec sum[2][COLUMNS][VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        const vec begin = load(biases + channel + v * LANES);
        for (int c = 0; c < COLUMNS; c++) sum[0][c][v] = sum[1][c][v] = begin;
    }
    const int64_t run = g.conv.kernel * stride;
    for (int kernel_row = 0; kernel_row < g.conv.kernel; kernel_row++) {
        const float *upper = pixels + kernel_row * line, *lower = upper + line;
        for (int64_t t = 0; t < run; t++) {
            vec w[VECTORS];
            for (int v = 0; v < VECTORS; v++) w[v] = load(weights + v * LANES);
            weights += VECTORS * LANES;
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; c++) {
                const vec above = spread(upper[c * stride + t]), below = spread(lower[c * stride + t]);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++) {
                    sum[0][c][v] = fma(above, w[v], sum[0][c][v]);
                    sum[1][c][v] = fma(below, w[v], sum[1][c][v]);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < COLUMNS / 2; c++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            if (channel + v * LANES < g.conv.out_channels)
                outputs.cell(image, row, column + c, channel + v * LANES, sum[0][2 * c][v], sum[0][2 * c + 1][v],
                             sum[1][2 * c][v], sum[1][2 * c + 1][v]);
}

template <int COLUMNS, int VECTORS>
struct Direct {
    const Geometry &g;
    const float *x, *packed, *biases;
    Outputs outputs;
    int64_t shares;  // of an image's output channels, where there are too few images for the threads

    struct Memory {
        Array<float> copy;
        explicit Memory(const Direct &job)
            : copy(job.g.padded_rows * job.g.padded_columns * job.g.conv.in_channels + LANES) {
            if (ready())
                memset(copy.data, 0,
                       static_cast<size_t>(job.g.padded_rows * job.g.padded_columns * job.g.conv.in_channels) *
                           sizeof(float));
        }
        bool ready() const { return copy.data != nullptr; }
    };

    void part(int64_t number, Memory &memory) const {
        const int64_t image = number / shares, share = number % shares;
        const int64_t channels = g.conv.in_channels, line = g.padded_columns * channels, width = LANES * VECTORS;
        const int64_t taps = int64_t(g.conv.kernel) * g.conv.kernel * channels;
        copy_image(g, x + image * g.input_numbers(), memory.copy.data, channels, 0, channels);
        for (int64_t channel = share * width; channel < g.conv.out_channels; channel += shares * width) {
            const float *weights = packed + channel / width * taps * width;
            for (int64_t row = 0; row < g.cell_rows; row++) {
                int64_t column = 0;
                const float *pixels = memory.copy.data + 2 * row * line;
                for (; column + COLUMNS / 2 <= g.cell_columns; column += COLUMNS / 2)
                    direct_tile<COLUMNS, VECTORS>(g, pixels + 2 * column * channels, line, channels, weights, biases,
                                                  image, row, column, channel, outputs);
                for (; COLUMNS > 4 && column + 2 <= g.cell_columns; column += 2)
                    direct_tile<4, VECTORS>(g, pixels + 2 * column * channels, line, channels, weights, biases, image,
                                            row, column, channel, outputs);
                for (; column < g.cell_columns; column++)
                    direct_tile<2, VECTORS>(g, pixels + 2 * column * channels, line, channels, weights, biases, image,
                                            row, column, channel, outputs);
            }
        }
    }
};

template <int COLUMNS, int VECTORS>
int direct(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight, const float *bias,
           float *y, uint8_t *choice) {
    const int64_t outs = rounded_up(g.conv.out_channels, LANES * VECTORS);
    Array<float> packed(outs * g.conv.kernel * g.conv.kernel * g.conv.in_channels), biases(outs);
    if (packed.data == nullptr || biases.data == nullptr) return NEOCOG_NO_MEMORY;
    const PackDirect pack{g, weight, bias, LANES * VECTORS, packed.data, biases.data};
    if (!in_parallel(threads, outs / LANES, pack)) return NEOCOG_NO_MEMORY;
    const int64_t groups = outs / (LANES * VECTORS), shares = g.conv.images < threads->count ? groups : 1;
    const Direct<COLUMNS, VECTORS> job{g, x, packed.data, biases.data, {g, y, choice}, shares};
    return in_parallel(threads, g.conv.images * shares, job) ? NEOCOG_OK : NEOCOG_NO_MEMORY;
}

inline int forward_direct(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight,
                          const float *bias, float *y, uint8_t *choice) {
    if (LANES == 16 && g.conv.out_channels > 32 && g.conv.out_channels <= 48)
        return direct<4, 3>(g, threads, x, weight, bias, y, choice);
    if (LANES == 16 && g.conv.out_channels > 16) return direct<6, 2>(g, threads, x, weight, bias, y, choice);
    return direct<6, 1>(g, threads, x, weight, bias, y, choice);
}

}  // namespace
#endif
