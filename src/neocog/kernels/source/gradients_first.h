// The weights' gradient of a first layer: few input channels, and nobody asks for the image's gradient.
//
// A kernel has so few taps that all their sums, for LANES output channels, lie in registers while the cells go by.
#ifndef NEOCOG_GRADIENTS_FIRST_H
#define NEOCOG_GRADIENTS_FIRST_H

#include "geometry.h"
#include "simd.h"
#include "threads.h"

namespace {

template <int KERNEL, int CHANNELS>
struct FirstGradients {
    static constexpr int TAPS = KERNEL * KERNEL * CHANNELS;
    // The taps' sums and the bias's, LANES channels each; one set for each part.
    static constexpr int64_t SET = (TAPS + 1) * LANES;

    const Geometry &g;
    const float *x;
    const uint8_t *choice;
    const float *dy;
    float *sums;
    int64_t images_of_part;

    struct Memory {
        Array<float> copy;
        explicit Memory(const FirstGradients &job) : copy(job.g.padded_rows * job.g.padded_columns * CHANNELS) {
            if (!ready()) return;
            memset(copy.data, 0,
                   static_cast<size_t>(job.g.padded_rows * job.g.padded_columns * CHANNELS) * sizeof(float));
        }
        bool ready() const { return copy.data != nullptr; }
    };

    int64_t groups() const { return (g.conv.out_channels + LANES - 1) / LANES; }

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * images_of_part, end = Geometry::smaller(begin + images_of_part, g.conv.images);
        float *own = sums + number * groups() * SET;
        memset(own, 0, static_cast<size_t>(groups() * SET) * sizeof(float));
        for (int64_t image = begin; image < end; image++) {
            copy_image(g, x + image * g.input_numbers(), memory.copy.data, CHANNELS, 0, CHANNELS);
            for (int64_t group = 0; group < groups(); group++)
                channels_of(image, group * LANES, memory.copy.data, own + group * SET);
        }
    }

   private:
    void channels_of(int64_t image, int64_t out, const float *copy, float *own) const {
        vec sum[TAPS];
        for (int tap = 0; tap < TAPS; tap++) sum[tap] = load(own + tap * LANES);
        vec bias = load(own + TAPS * LANES);
        const int64_t line = g.padded_columns * CHANNELS, outs = g.conv.out_channels, count = outs - out;
        const int64_t cell = g.conv.pool ? 2 : 1, begin = image * g.output_numbers() + out;
        const float *gradient = dy + begin;
        const uint8_t *taken = choice == nullptr ? nullptr : choice + begin;
        for (int64_t row = 0; row < g.out_rows; row++)
            for (int64_t column = 0; column < g.out_columns; column++, gradient += outs) {
                const float *window = copy + cell * (row * line + column * CHANNELS);
                const vec value = count >= LANES ? load(gradient) : load(gradient, first(count));
                if (taken == nullptr) {
                    add_taps(sum, value, window, line);
                    bias = add(bias, value);
                    continue;
                }
                const places which = load_bytes(taken, count);
                taken += outs;
                for (int number = 0; number < (g.conv.pool ? 4 : 1); number++) {
                    const vec live = only(equal(which, place(number)), value);
                    add_taps(sum, live, window + number / 2 * line + number % 2 * CHANNELS, line);
                    bias = add(bias, live);
                }
            }
        for (int tap = 0; tap < TAPS; tap++) store(own + tap * LANES, sum[tap]);
        store(own + TAPS * LANES, bias);
    }

    static inline __attribute__((always_inline)) void add_taps(vec *sum, vec gradient, const float *window,
                                                               int64_t line) {
#pragma GCC unroll 5
        for (int row = 0; row < KERNEL; row++)
#pragma GCC unroll 15
            for (int at = 0; at < KERNEL * CHANNELS; at++)
                sum[row * KERNEL * CHANNELS + at] =
                    fma(gradient, spread(window[row * line + at]), sum[row * KERNEL * CHANNELS + at]);
    }
};

template <int KERNEL, int CHANNELS>
int first_gradients(const Geometry &g, const neocog_threads *threads, const float *x, const uint8_t *choice,
                    const float *dy, float *dw, float *db) {
    typedef FirstGradients<KERNEL, CHANNELS> Job;
    const int64_t wanted = 8 * threads->count,
                  images_of_part = g.conv.images ? (g.conv.images + wanted - 1) / wanted : 1;
    const int64_t parts = g.conv.images ? (g.conv.images + images_of_part - 1) / images_of_part : 1;
    const int64_t outs = g.conv.out_channels, set = (outs + LANES - 1) / LANES * Job::SET;
    Array<float> sums(parts * set);
    if (sums.data == nullptr) return NEOCOG_NO_MEMORY;
    const Job job{g, x, choice, dy, sums.data, images_of_part};
    if (!in_parallel(threads, parts, job)) return NEOCOG_NO_MEMORY;
    for (int64_t out = 0; out < outs; out++)
        for (int64_t tap = 0; tap <= Job::TAPS; tap++) {
            float total = 0.0f;
            for (int64_t part = 0; part < parts; part++)
                total += sums.data[part * set + out / LANES * Job::SET + tap * LANES + out % LANES];
            if (tap < Job::TAPS) {
                dw[out * Job::TAPS + tap] = total;
            } else if (db != nullptr) {
                db[out] = total;
            }
        }
    return NEOCOG_OK;
}

}  // namespace
#endif
