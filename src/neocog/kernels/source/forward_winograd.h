// The 3x3 convolution in 16 multiplications for four outputs, where the definition takes 36.
//
// Winograd's minimal filtering F(2x2, 3x3): Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
// 2016, section 4.1. A cell of four outputs is A^T [(G g G^T) * (B^T d B)] A, with the 4x4 input pixels d and the
// kernel g; the products are summed over the input channels before A is applied, a matrix multiplication at each of 16
// places. Infinity and not-a-number would spread to all four outputs; cells that are not finite are done by the
// definition.
#ifndef NEOCOG_FORWARD_WINOGRAD_H
#define NEOCOG_FORWARD_WINOGRAD_H

#include "epilogue.h"
#include "threads.h"
#include "transpose.h"

namespace {

constexpr int PLACES = 16;
// Cells that are done together: enough to use what was read of the weights, few enough to stay in the second cache.
constexpr int64_t TOGETHER = 24;

// G g G^T of all kernels, in the order (group of output channels, place, in channel, channel of the group).
struct KernelTransform {
    typedef NoMemory Memory;
    const Geometry &g;
    const float *weight;
    int64_t width;  // channels of a group
    float *kernels;

    // The LANES output channels from number * LANES on.
    void part(int64_t number, Memory &) const {
        const int64_t out = number * LANES, channels = g.conv.in_channels, step = channels * width;
        float *to = kernels + out / width * PLACES * step + out % width;
        alignas(64) float taps[9][LANES][LANES];  // (tap, in channel, out channel)
        for (int64_t begin = 0; begin < channels; begin += LANES) {
            const int64_t count = Geometry::smaller(LANES, channels - begin);
            for (int tap = 0; tap < 9; tap++) turn(out, tap, begin, count, taps[tap]);
            for (int64_t channel = 0; channel < count; channel++)
                transform(taps, channel, to + (begin + channel) * width, step);
        }
    }

   private:
    void turn(int64_t out, int tap, int64_t begin, int64_t count, float turned[LANES][LANES]) const {
        const int64_t channels = g.conv.in_channels, held = Geometry::smaller(LANES, g.conv.out_channels - out);
        const float *from = weight + (out * 9 + tap) * channels + begin;
#if defined(__AVX512F__)
        vec rows[LANES];
        for (int64_t lane = 0; lane < LANES; lane++)
            rows[lane] = lane < held ? load(from + lane * 9 * channels, first(count)) : zero();
        transpose(rows);
        for (int64_t channel = 0; channel < LANES; channel++) store(turned[channel], rows[channel]);
#else
        for (int64_t channel = 0; channel < count; channel++)
            for (int64_t lane = 0; lane < LANES; lane++)
                turned[channel][lane] = lane < held ? from[lane * 9 * channels + channel] : 0.0f;
#endif
    }

    static void transform(const float taps[9][LANES][LANES], int64_t channel, float *to, int64_t step) {
        const vec share = spread(0.5f);
        vec half[4][3];
        for (int column = 0; column < 3; column++) {
            const vec top = load(taps[column][channel]), middle = load(taps[3 + column][channel]);
            const vec bottom = load(taps[6 + column][channel]);
            half[0][column] = top;
            half[1][column] = mul(share, add(add(top, middle), bottom));
            half[2][column] = mul(share, add(sub(top, middle), bottom));
            half[3][column] = bottom;
        }
        for (int row = 0; row < 4; row++, to += 4 * step) {
            const vec left = half[row][0], middle = half[row][1], right = half[row][2];
            store(to, left);
            store(to + step, mul(share, add(add(left, middle), right)));
            store(to + 2 * step, mul(share, add(sub(left, middle), right)));
            store(to + 3 * step, right);
        }
    }
};

template <int ROWS, int VECTORS>
struct Winograd {
    static constexpr int64_t WIDTH = VECTORS * LANES;

    const Geometry &g;
    const float *x, *weight, *kernels, *biases;
    Outputs outputs;
    int64_t images_of_part;

    struct Memory {
        Array<float> copies, inputs, products;
        explicit Memory(const Winograd &job)
            : copies(job.images_of_part * job.copy_numbers()),
              inputs(PLACES * TOGETHER * job.depth()),
              products(PLACES * TOGETHER * WIDTH) {
            if (!ready()) return;
            memset(copies.data, 0, static_cast<size_t>(job.images_of_part * job.copy_numbers()) * sizeof(float));
            memset(inputs.data, 0, static_cast<size_t>(PLACES * TOGETHER * job.depth()) * sizeof(float));
        }
        bool ready() const { return copies.data != nullptr && inputs.data != nullptr && products.data != nullptr; }
    };

    int64_t depth() const { return rounded_up(g.conv.in_channels, LANES); }
    int64_t copy_numbers() const { return g.padded_rows * g.padded_columns * depth(); }

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * images_of_part, end = Geometry::smaller(begin + images_of_part, g.conv.images);
        for (int64_t image = begin; image < end; image++)
            copy_image(g, x + image * g.input_numbers(), memory.copies.data + (image - begin) * copy_numbers(), depth(),
                       0, g.conv.in_channels);
        const int64_t cells = (end - begin) * g.cells();
        for (int64_t cell = 0; cell < cells; cell += TOGETHER) {
            const int64_t count = Geometry::smaller(TOGETHER, cells - cell);
            for (int64_t i = 0; i < count; i++) transform_input(memory, cell + i, i);
            for (int64_t out = 0; out < g.conv.out_channels; out += WIDTH) {
                multiply(memory, out, count);
                for (int64_t i = 0; i < count; i++) transform_output(memory, out, begin, cell + i, i);
            }
        }
    }

   private:
    const float *pixels_of(const Memory &memory, int64_t cell) const {
        const int64_t inside = cell % g.cells(), row = inside / g.cell_columns, column = inside % g.cell_columns;
        return memory.copies.data + cell / g.cells() * copy_numbers() + 2 * (row * g.padded_columns + column) * depth();
    }

    // B^T d B, to (place, cell, channel).
    void transform_input(Memory &memory, int64_t cell, int64_t i) const {
        const float *pixels = pixels_of(memory, cell);
        const int64_t line = g.padded_columns * depth(), step = TOGETHER * depth();
        float *to = memory.inputs.data + i * depth();
        for (int64_t channel = 0; channel < depth(); channel += LANES, pixels += LANES, to += LANES) {
            vec half[4][4];
#pragma GCC unroll 4
            for (int column = 0; column < 4; column++) {
                const float *at = pixels + column * depth();
                const vec a = load(at), b = load(at + line), c = load(at + 2 * line), d = load(at + 3 * line);
                half[0][column] = sub(a, c);
                half[1][column] = add(b, c);
                half[2][column] = sub(c, b);
                half[3][column] = sub(b, d);
            }
#pragma GCC unroll 4
            for (int row = 0; row < 4; row++) {
                float *place = to + 4 * row * step;
                store(place, sub(half[row][0], half[row][2]));
                store(place + step, add(half[row][1], half[row][2]));
                store(place + 2 * step, sub(half[row][2], half[row][1]));
                store(place + 3 * step, sub(half[row][1], half[row][3]));
            }
        }
    }

    // At each place, (cells, in channels) times (in channels, out channels of the group).
    void multiply(Memory &memory, int64_t out, int64_t count) const {
        const float *kernel = kernels + out / WIDTH * PLACES * g.conv.in_channels * WIDTH;
        for (int place = 0; place < PLACES; place++, kernel += g.conv.in_channels * WIDTH)
            for (int64_t i = 0; i < count; i += ROWS)
                multiply_rows(memory.inputs.data + (place * TOGETHER + i) * depth(), kernel,
                              place == 5 ? biases + out : nullptr,
                              memory.products.data + (place * TOGETHER + i) * WIDTH);
    }

    // Place 5 enters all four outputs once, so that is where the bias is added.
    void multiply_rows(const float *inputs, const float *kernel, const float *bias, float *products) const {
        vec sum[ROWS][VECTORS];
        for (int v = 0; v < VECTORS; v++) {
            const vec begin = bias == nullptr ? zero() : load(bias + v * LANES);
            for (int r = 0; r < ROWS; r++) sum[r][v] = begin;
        }
        const int64_t channels = g.conv.in_channels, step = depth();
        for (int64_t channel = 0; channel < channels; channel++, kernel += WIDTH) {
            vec w[VECTORS];
            for (int v = 0; v < VECTORS; v++) w[v] = load(kernel + v * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < ROWS; r++) {
                const vec input = spread(inputs[r * step + channel]);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++) sum[r][v] = fma(input, w[v], sum[r][v]);
            }
        }
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) store(products + r * WIDTH + v * LANES, sum[r][v]);
    }

    // A^T m A, and what follows.
    void transform_output(const Memory &memory, int64_t out, int64_t begin, int64_t cell, int64_t i) const {
        const int64_t inside = cell % g.cells(), row = inside / g.cell_columns, column = inside % g.cell_columns;
        const int64_t image = begin + cell / g.cells(), step = TOGETHER * WIDTH;
        for (int v = 0; v < VECTORS && out + v * LANES < g.conv.out_channels; v++) {
            const float *from = memory.products.data + i * WIDTH + v * LANES;
            vec upper[4], lower[4], y[4];
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++, from += step) {
                const vec m1 = load(from + 4 * step), m2 = load(from + 8 * step);
                upper[c] = add(add(load(from), m1), m2);
                lower[c] = sub(sub(m1, m2), load(from + 12 * step));
            }
            y[0] = add(add(upper[0], upper[1]), upper[2]);
            y[1] = sub(sub(upper[1], upper[2]), upper[3]);
            y[2] = add(add(lower[0], lower[1]), lower[2]);
            y[3] = sub(sub(lower[1], lower[2]), lower[3]);
            const vec total = add(add(y[0], y[1]), add(y[2], y[3]));
            if (any(is_nan(sub(total, total)))) by_definition(pixels_of(memory, cell), out + v * LANES, y);
            outputs.cell(image, row, column, out + v * LANES, y[0], y[1], y[2], y[3]);
        }
    }

    __attribute__((noinline)) void by_definition(const float *pixels, int64_t out, vec y[4]) const {
        const int64_t channels = g.conv.in_channels;
        alignas(64) float lane[4][LANES] = {};
        for (int64_t l = 0; l < Geometry::smaller(LANES, g.conv.out_channels - out); l++)
            for (int number = 0; number < 4; number++) {
                float sum = biases[out + l];
                for (int tap = 0; tap < 9; tap++) {
                    const int64_t row = number / 2 + tap / 3, column = number % 2 + tap % 3;
                    const float *pixel = pixels + (row * g.padded_columns + column) * depth();
                    const float *w = weight + ((out + l) * 9 + tap) * channels;
                    for (int64_t channel = 0; channel < channels; channel++) sum += pixel[channel] * w[channel];
                }
                lane[number][l] = sum;
            }
        for (int number = 0; number < 4; number++) y[number] = load(lane[number]);
    }
};

template <int ROWS, int VECTORS>
int winograd(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight, const float *bias,
             float *y, uint8_t *choice) {
    static_assert(TOGETHER % ROWS == 0, "the rows of the last multiplication must lie in the buffer");
    const int64_t width = VECTORS * LANES, outs = rounded_up(g.conv.out_channels, width);
    Array<float> kernels(PLACES * g.conv.in_channels * outs), biases(outs);
    if (kernels.data == nullptr || biases.data == nullptr) return NEOCOG_NO_MEMORY;
    for (int64_t out = 0; out < outs; out++)
        biases.data[out] = bias != nullptr && out < g.conv.out_channels ? bias[out] : 0.0f;
    const KernelTransform transform{g, weight, width, kernels.data};
    if (!in_parallel(threads, outs / LANES, transform)) return NEOCOG_NO_MEMORY;
    // Images with few cells go together, so that the last multiplication is not a large part of all.
    const int64_t enough = (4 * TOGETHER + g.cells() - 1) / g.cells();
    const int64_t fair = (g.conv.images + 4 * threads->count - 1) / (4 * threads->count);
    const int64_t images_of_part = fair < 1 ? 1 : Geometry::smaller(enough, fair);
    const Winograd<ROWS, VECTORS> job{g, x, weight, kernels.data, biases.data, {g, y, choice}, images_of_part};
    const int64_t parts = (g.conv.images + images_of_part - 1) / images_of_part;
    return in_parallel(threads, parts, job) ? NEOCOG_OK : NEOCOG_NO_MEMORY;
}

// Whether it takes less time than the definition: the transforms must be a small part of the multiplications.
inline bool winograd_pays(const Geometry &g) {
    const bool enough = g.conv.images * g.cells() >= 256;  // that the transform of the kernels is a small part as well
    return g.conv.kernel == 3 && g.conv.in_channels >= 8 && g.conv.out_channels > LANES / 2 && enough;
}

inline int forward_winograd(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight,
                            const float *bias, float *y, uint8_t *choice) {
    if (LANES == 8) return winograd<6, 2>(g, threads, x, weight, bias, y, choice);
    if (g.conv.out_channels > 48) return winograd<6, 4>(g, threads, x, weight, bias, y, choice);
    if (g.conv.out_channels > 32) return winograd<8, 3>(g, threads, x, weight, bias, y, choice);
    if (g.conv.out_channels > 16) return winograd<8, 2>(g, threads, x, weight, bias, y, choice);
    return winograd<8, 1>(g, threads, x, weight, bias, y, choice);
}

}  // namespace
#endif
