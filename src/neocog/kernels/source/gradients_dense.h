// The gradients of a convolution without pooling, whose outputs are all, or half of them, live.
//
// The image's gradient is a convolution too, of the outputs' gradient with the kernels turned round. The weights'
// gradient is a matrix multiplication with the pixels as the inner dimension: OUTS output channels by one row of a
// kernel.
#ifndef NEOCOG_GRADIENTS_DENSE_H
#define NEOCOG_GRADIENTS_DENSE_H

#include "forward_winograd.h"
#include "forward_direct.h"
#include "gradients.h"

namespace {

inline int forward(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight,
                   const float *bias, float *y, uint8_t *choice) {
    if (winograd_pays(g)) return forward_winograd(g, threads, x, weight, bias, y, choice);
    return forward_direct(g, threads, x, weight, bias, y, choice);
}

// dy where relu let something through.
struct LiveOnly {
    typedef NoMemory Memory;
    const Geometry &g;
    const uint8_t *choice;
    const float *dy;
    float *live;

    void part(int64_t image, Memory &) const {
        const int64_t begin = image * g.output_numbers(), end = begin + g.output_numbers();
        for (int64_t at = begin; at < end; at += LANES) {
            const lanes held = first(end - at);
            store(live + at, only(equal(load_bytes(choice + at, end - at), place(0)), load(dy + at, held)), held);
        }
    }
};

inline int image_gradient(const Geometry &g, const neocog_threads *threads, const float *weight, const float *dy,
                          float *dx) {
    const int64_t kernel = g.conv.kernel, outs = g.conv.out_channels, channels = g.conv.in_channels;
    Array<float> turned(kernel * kernel * outs * channels);
    if (turned.data == nullptr) return NEOCOG_NO_MEMORY;
    for (int64_t out = 0; out < outs; out++)
        for (int64_t tap = 0; tap < kernel * kernel; tap++, weight += channels)
            for (int64_t channel = 0; channel < channels; channel++)
                turned.data[(channel * kernel * kernel + kernel * kernel - 1 - tap) * outs + out] = weight[channel];
    neocog_conv back = g.conv;
    back.height = g.rows, back.width = g.columns;
    back.in_channels = outs, back.out_channels = channels;
    back.padding = g.conv.kernel - 1 - g.conv.padding;
    back.relu = 0;
    return forward(Geometry(back), threads, dy, turned.data, nullptr, dx, nullptr);
}

// Add, over the pixels of an output row, gradient * (VECTORS vectors of the window's row) for each of OUTS channels.
template <int OUTS, int VECTORS>
void multiply_pixels(const Geometry &g, const float *dy, const float *copy, int64_t width, float *sums, int64_t step) {
    vec sum[OUTS][VECTORS];
    for (int o = 0; o < OUTS; o++)
        for (int v = 0; v < VECTORS; v++) sum[o][v] = load(sums + o * step + v * LANES);
    const int64_t outs = g.conv.out_channels;
    for (int64_t row = 0; row < g.rows; row++, copy += g.padded_columns * width) {
        const float *window = copy;
        for (int64_t column = 0; column < g.columns; column++, window += width, dy += outs) {
            vec pixels[VECTORS];
            for (int v = 0; v < VECTORS; v++) pixels[v] = load(window + v * LANES);
#pragma GCC unroll 8
            for (int o = 0; o < OUTS; o++) {
                const vec gradient = spread(dy[o]);
#pragma GCC unroll 5
                for (int v = 0; v < VECTORS; v++) sum[o][v] = fma(gradient, pixels[v], sum[o][v]);
            }
        }
    }
    for (int o = 0; o < OUTS; o++)
        for (int v = 0; v < VECTORS; v++) store(sums + o * step + v * LANES, sum[o][v]);
}

struct Multiply {
    typedef void (*Function)(const Geometry &, const float *, const float *, int64_t, float *, int64_t);
    int64_t outs;
    Function together, single;

    explicit Multiply(int64_t vectors) : outs(0), together(nullptr), single(nullptr) {
        if (vectors == 1) take<8, 1>();
        if (vectors == 2) take<LANES == 16 ? 8 : 5, 2>();
        if (vectors == 3) take<LANES == 16 ? 8 : 4, 3>();
        if (vectors == 4) take<LANES == 16 ? 6 : 2, 4>();
        if (vectors == 5) take<LANES == 16 ? 4 : 2, 5>();
    }

   private:
    template <int OUTS, int VECTORS>
    void take() {
        outs = OUTS;
        together = multiply_pixels<OUTS, VECTORS>;
        single = multiply_pixels<1, VECTORS>;
    }
};

struct DenseGradients {
    const Geometry &g;
    const Blocks &blocks;
    const Multiply &multiply;
    const float *x, *dy;
    float *sums, *biases;
    int64_t images_of_part;

    struct Memory {
        Array<float> copy;
        explicit Memory(const DenseGradients &job) : copy(job.blocks.image_numbers()) {
            if (ready()) memset(copy.data, 0, static_cast<size_t>(job.blocks.image_numbers()) * sizeof(float));
        }
        bool ready() const { return copy.data != nullptr; }
    };

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * images_of_part, end = Geometry::smaller(begin + images_of_part, g.conv.images);
        const int64_t outs = g.conv.out_channels, set = outs * blocks.count * blocks.kernel_numbers;
        float *own = sums + number * set, *bias = biases + number * outs;
        memset(own, 0, static_cast<size_t>(set) * sizeof(float));
        memset(bias, 0, static_cast<size_t>(outs) * sizeof(float));
        for (int64_t image = begin; image < end; image++) {
            const float *gradient = dy + image * g.output_numbers();
            blocks.copy(g, x + image * g.input_numbers(), memory.copy.data);
            for (int64_t at = 0; at < g.outputs(); at++)
                for (int64_t out = 0; out < outs; out++) bias[out] += gradient[at * outs + out];
            for (int64_t block = 0; block < blocks.count; block++)
                for (int64_t row = 0; row < g.conv.kernel; row++) kernel_row(memory, gradient, block, row, own);
        }
    }

   private:
    void kernel_row(const Memory &memory, const float *gradient, int64_t block, int64_t row, float *own) const {
        const int64_t outs = g.conv.out_channels, step = blocks.count * blocks.kernel_numbers;
        const float *copy = memory.copy.data + block * blocks.copy_numbers + row * g.padded_columns * blocks.width;
        float *to = own + block * blocks.kernel_numbers + row * blocks.vectors * LANES;
        int64_t out = 0;
        for (; out + multiply.outs <= outs; out += multiply.outs)
            multiply.together(g, gradient + out, copy, blocks.width, to + out * step, step);
        for (; out < outs; out++) multiply.single(g, gradient + out, copy, blocks.width, to + out * step, step);
    }
};

inline int gradients_dense(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight,
                           const uint8_t *choice, const float *dy, float *dx, float *dw, float *db) {
    const Blocks blocks(g);
    const Multiply multiply(blocks.vectors);
    const bool masked = choice != nullptr;
    Array<float> live(masked ? g.conv.images * g.output_numbers() : 1);
    const Parts parts(g, blocks, threads);
    Array<float> sums(parts.count * parts.set), biases(parts.count * g.conv.out_channels);
    if (live.data == nullptr || sums.data == nullptr || biases.data == nullptr) return NEOCOG_NO_MEMORY;
    if (masked && !in_parallel(threads, g.conv.images, LiveOnly{g, choice, dy, live.data})) return NEOCOG_NO_MEMORY;
    if (masked) dy = live.data;
    if (dx != nullptr) {
        const int result = image_gradient(g, threads, weight, dy, dx);
        if (result != NEOCOG_OK) return result;
    }
    const DenseGradients job{g, blocks, multiply, x, dy, sums.data, biases.data, parts.images};
    if (!in_parallel(threads, parts.count, job)) return NEOCOG_NO_MEMORY;
    const Total total{g, blocks, sums.data, biases.data, parts.count, dw, db};
    return in_parallel(threads, g.conv.out_channels, total) ? NEOCOG_OK : NEOCOG_NO_MEMORY;
}

}  // namespace
#endif
