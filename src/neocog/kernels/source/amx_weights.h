// Weights between float32, as they are given, and bfloat16 in the order in which the tiles read them.
#ifndef NEOCOG_AMX_WEIGHTS_H
#define NEOCOG_AMX_WEIGHTS_H

#include "amx_operand.h"
#include "tiles.h"

namespace {

inline int64_t packed_numbers(const Layout &l, int64_t channels) {
    return rounded_up(channels, LANES) / LANES * l.steps() * TILE_PAIRS;
}

// The first `count` of 16 numbers, rounded.
inline __m256i rounded(const float *numbers, int64_t count) { return to_bfloat16(load(numbers, first(count))); }

// The first `count` of 32 numbers, rounded, as 16 pairs.
inline __m512 pairs_of(const float *numbers, int64_t count) {
    const __m256i low = rounded(numbers, count);
    const __m256i high = count > LANES ? rounded(numbers + LANES, count - LANES) : _mm256_setzero_si256();
    return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

// For the values: tiles in the order (16 out channels, tap, block of 32 inputs), each with a pair of inputs in a row.
inline void pack_weights(const Layout &l, int64_t out_channels, const float *weight, bfloat16 *packed) {
    const int64_t size = l.taps * l.taps * l.length;
    for (int64_t out = 0; out < out_channels; out += LANES)
        for (int64_t tap = 0; tap < l.taps * l.taps; tap++)
            for (int64_t begin = 0; begin < l.length; begin += STEP, packed += TILE_PAIRS) {
                const int64_t count = l.length - begin;
                __m512 rows[16];
                for (int64_t i = 0; i < LANES; i++) {
                    const bool there = out + i < out_channels;
                    rows[i] = there ? pairs_of(weight + (out + i) * size + tap * l.length + begin, count) : zero();
                }
                transpose(rows);
                for (int64_t i = 0; i < LANES; i++) _mm512_store_ps(packed + i * 32, rows[i]);
            }
}

// Numbers of two rows from `begin` on in turns, rounded; zeros where there is no row.
inline __m512i interleaved(const float *a, const float *b, int64_t begin, int64_t count) {
    const __m256i zeros = _mm256_setzero_si256();
    const __m512i even = _mm512_cvtepu16_epi32(a == nullptr ? zeros : rounded(a + begin, count));
    const __m512i odd = _mm512_cvtepu16_epi32(b == nullptr ? zeros : rounded(b + begin, count));
    return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

// For the gradient of the input, a convolution with the kernel turned round: tiles in the order (16 in channels, tap,
// block of 32 out channels). `l` is the layout of the output's gradient.
inline void pack_turned_weights(const Layout &l, int64_t in_channels, const float *weight, bfloat16 *packed) {
    const int64_t kernel = l.kernel * l.kernel, next_channels = l.steps() * TILE_PAIRS;
    for (int64_t tap = 0; tap < l.taps * l.taps; tap++)
        for (int64_t begin = 0; begin < l.pitch(); begin += 2, packed += 32) {
            const float *from[2] = {nullptr, nullptr};
            for (int64_t i = 0; i < 2 && begin + i < l.length; i++) {
                const int64_t number = tap * l.length + begin + i, out = number % l.channels;
                from[i] = weight + ((out + 1) * kernel - 1 - number / l.channels) * in_channels;
            }
            for (int64_t in = 0; in < in_channels; in += LANES) {
                const __m512i pairs = interleaved(from[0], from[1], in, in_channels - in);
                _mm512_store_si512(packed + in / LANES * next_channels, pairs);
            }
        }
}

}  // namespace
#endif
