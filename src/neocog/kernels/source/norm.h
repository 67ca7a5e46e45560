// Batch norm and relu in training: two passes over the pixels forward, two backward, nothing kept but the statistics.
#ifndef NEOCOG_NORM_H
#define NEOCOG_NORM_H

#include <math.h>

#include "simd.h"
#include "threads.h"

namespace {

// A line's channels, LANES at a time; what lies behind the last is neither read nor written.
struct Channels {
    int64_t count;
    lanes edge;
    explicit Channels(int64_t channels) : count(channels), edge(first(channels % LANES)) {}
    bool whole(int64_t channel) const { return channel + LANES <= count; }
    inline vec get(const float *p, int64_t channel) const {
        return whole(channel) ? load(p + channel) : load(p + channel, edge);
    }
    inline void put(float *p, int64_t channel, vec a) const {
        if (whole(channel)) {
            store(p + channel, a);
        } else {
            store(p + channel, a, edge);
        }
    }
};

// What is to be done with each pixel, in parts that depend on the number of pixels alone.
struct Pixels {
    int64_t count, of_part, parts;
    Pixels(int64_t pixels, const neocog_threads *threads) : count(pixels) {
        const int64_t wanted = 8 * threads->count, least = 64;
        of_part = (pixels + wanted - 1) / wanted;
        if (of_part < least) of_part = least;
        parts = (pixels + of_part - 1) / of_part;
    }
    int64_t begin(int64_t part) const { return part * of_part; }
    int64_t end(int64_t part) const { return (part + 1) * of_part < count ? (part + 1) * of_part : count; }
};

// How a channel is scaled: y = x * scale + shift, xhat = (x - mean) * inverse.
struct Scales {
    Array<float> scale, shift, inverse;
    explicit Scales(int64_t channels) : scale(channels), shift(channels), inverse(channels) {}
    bool ready() const { return scale.data != nullptr && shift.data != nullptr && inverse.data != nullptr; }
    void set(const neocog_norm &norm, const float *gamma, const float *beta, const float *mean, const float *variance) {
        for (int64_t c = 0; c < norm.channels; c++) {
            inverse.data[c] = static_cast<float>(1.0 / sqrt(static_cast<double>(variance[c]) + norm.epsilon));
            scale.data[c] = gamma[c] * inverse.data[c];
            shift.data[c] = beta[c] - mean[c] * scale.data[c];
        }
    }
};

// Sums over pixels of x - x0 and of its square, x0 being the first pixel: near enough to the mean that little is lost
// when the square of the one is taken from the other.
struct Moments {
    typedef NoMemory Memory;
    const Channels &channels;
    const Pixels &pixels;
    const float *x;
    float *sums;  // (parts, 2, channels)

    void part(int64_t number, NoMemory &) const {
        for (int64_t channel = 0; channel < channels.count; channel += LANES) {
            vec plain[2] = {zero(), zero()}, square[2] = {zero(), zero()};
            const vec middle = channels.get(x, channel);
            for (int64_t pixel = pixels.begin(number); pixel < pixels.end(number); pixel++) {
                const vec off = sub(channels.get(x + pixel * channels.count, channel), middle);
                plain[pixel & 1] = add(plain[pixel & 1], off);
                square[pixel & 1] = fma(off, off, square[pixel & 1]);
            }
            float *to = sums + 2 * number * channels.count;
            channels.put(to, channel, add(plain[0], plain[1]));
            channels.put(to + channels.count, channel, add(square[0], square[1]));
        }
    }
};

struct Apply {
    typedef NoMemory Memory;
    const Channels &channels;
    const Pixels &pixels;
    const Scales &scales;
    bool relu;
    const float *x;
    float *y;

    void part(int64_t number, NoMemory &) const {
        for (int64_t pixel = pixels.begin(number); pixel < pixels.end(number); pixel++)
            for (int64_t channel = 0; channel < channels.count; channel += LANES) {
                const int64_t at = pixel * channels.count;
                vec value = fma(channels.get(x + at, channel), channels.get(scales.scale.data, channel),
                                channels.get(scales.shift.data, channel));
                if (relu) value = choose(not_at_most(value, zero()), zero(), value);
                channels.put(y + at, channel, value);
            }
    }
};

// Sums over pixels of the gradient, and of the gradient times xhat.
struct GradientSums {
    typedef NoMemory Memory;
    const Channels &channels;
    const Pixels &pixels;
    const Scales &scales;
    bool relu;
    const float *x, *mean, *dy;
    float *sums;  // (parts, 2, channels)

    static inline vec live(bool relu, vec gradient, vec x, vec scale, vec shift) {
        return relu ? only(not_at_most(fma(x, scale, shift), zero()), gradient) : gradient;
    }

    void part(int64_t number, NoMemory &) const {
        for (int64_t channel = 0; channel < channels.count; channel += LANES) {
            vec plain[2] = {zero(), zero()}, along[2] = {zero(), zero()};
            const vec scale = channels.get(scales.scale.data, channel),
                      shift = channels.get(scales.shift.data, channel);
            const vec middle = channels.get(mean, channel);
            for (int64_t pixel = pixels.begin(number); pixel < pixels.end(number); pixel++) {
                const int64_t at = pixel * channels.count;
                const vec value = channels.get(x + at, channel);
                const vec gradient = live(relu, channels.get(dy + at, channel), value, scale, shift);
                plain[pixel & 1] = add(plain[pixel & 1], gradient);
                along[pixel & 1] = fma(gradient, sub(value, middle), along[pixel & 1]);
            }
            float *to = sums + 2 * number * channels.count;
            channels.put(to, channel, add(plain[0], plain[1]));
            channels.put(to + channels.count, channel,
                         mul(add(along[0], along[1]), channels.get(scales.inverse.data, channel)));
        }
    }
};

// dx = scale * (g - mean of g - xhat * mean of (g * xhat)).
struct InputGradient {
    typedef NoMemory Memory;
    const Channels &channels;
    const Pixels &pixels;
    const Scales &scales;
    bool relu;
    const float *x, *mean, *dy, *plain, *along;  // the last two: sums over all pixels
    float *dx;

    void part(int64_t number, NoMemory &) const {
        const vec share = spread(static_cast<float>(1.0 / static_cast<double>(pixels.count)));
        for (int64_t channel = 0; channel < channels.count; channel += LANES) {
            const vec scale = channels.get(scales.scale.data, channel),
                      shift = channels.get(scales.shift.data, channel);
            const vec middle = channels.get(mean, channel);
            const vec offset = mul(channels.get(plain, channel), share);
            const vec slope = mul(mul(channels.get(along, channel), share), channels.get(scales.inverse.data, channel));
            for (int64_t pixel = pixels.begin(number); pixel < pixels.end(number); pixel++) {
                const int64_t at = pixel * channels.count;
                const vec value = channels.get(x + at, channel);
                const vec gradient = GradientSums::live(relu, channels.get(dy + at, channel), value, scale, shift);
                const vec rest = sub(sub(gradient, offset), mul(sub(value, middle), slope));
                channels.put(dx + at, channel, mul(scale, rest));
            }
        }
    }
};

// A channel's sum over the parts, in their order; `set` is 0 or 1.
inline double total(const float *sums, const Pixels &pixels, int64_t channels, int64_t set, int64_t channel) {
    double sum = 0.0;
    for (int64_t part = 0; part < pixels.parts; part++)
        sum += static_cast<double>(sums[(2 * part + set) * channels + channel]);
    return sum;
}

inline int norm_forward(const neocog_norm &norm, const neocog_threads *threads, const float *x, const float *gamma,
                        const float *beta, float *y, float *mean, float *variance) {
    const Channels channels(norm.channels);
    const Pixels pixels(norm.pixels, threads);
    Array<float> sums(2 * pixels.parts * norm.channels);
    Scales scales(norm.channels);
    if (sums.data == nullptr || !scales.ready()) return NEOCOG_NO_MEMORY;
    in_parallel(threads, pixels.parts, Moments{channels, pixels, x, sums.data});
    for (int64_t c = 0; c < norm.channels; c++) {
        const double off = total(sums.data, pixels, norm.channels, 0, c) / static_cast<double>(norm.pixels);
        const double square =
            total(sums.data, pixels, norm.channels, 1, c) / static_cast<double>(norm.pixels) - off * off;
        mean[c] = static_cast<float>(static_cast<double>(x[c]) + off);
        variance[c] = static_cast<float>(square < 0.0 ? 0.0 : square);
    }
    scales.set(norm, gamma, beta, mean, variance);
    in_parallel(threads, pixels.parts, Apply{channels, pixels, scales, norm.relu != 0, x, y});
    return NEOCOG_OK;
}

inline int norm_backward(const neocog_norm &norm, const neocog_threads *threads, const float *x, const float *gamma,
                         const float *beta, const float *mean, const float *variance, const float *dy, float *dx,
                         float *dgamma, float *dbeta) {
    const Channels channels(norm.channels);
    const Pixels pixels(norm.pixels, threads);
    Array<float> sums(2 * pixels.parts * norm.channels);
    Scales scales(norm.channels);
    if (sums.data == nullptr || !scales.ready()) return NEOCOG_NO_MEMORY;
    scales.set(norm, gamma, beta, mean, variance);
    in_parallel(threads, pixels.parts, GradientSums{channels, pixels, scales, norm.relu != 0, x, mean, dy, sums.data});
    for (int64_t c = 0; c < norm.channels; c++) {
        dbeta[c] = static_cast<float>(total(sums.data, pixels, norm.channels, 0, c));
        dgamma[c] = static_cast<float>(total(sums.data, pixels, norm.channels, 1, c));
    }
    if (dx != nullptr)
        in_parallel(threads, pixels.parts,
                    InputGradient{channels, pixels, scales, norm.relu != 0, x, mean, dy, dbeta, dgamma, dx});
    return NEOCOG_OK;
}

}  // namespace
#endif
