// The gradient of a convolution's values: the pooled gradient where the pooled values were taken from, zeros elsewhere.
#ifndef NEOCOG_AMX_TAKEN_H
#define NEOCOG_AMX_TAKEN_H

#include "amx_operand.h"
#include "tiles.h"

namespace {

// A pair of positions in tiles in the order (16 pairs, 16 channels); when it is put, the next one follows.
struct Pair {
    bfloat16 *numbers;
    int64_t row;   // of its tile
    int64_t jump;  // behind a tile's last row

    Pair(bfloat16 *tiles, int64_t pair, int64_t tile, int64_t count)
        : numbers(tiles + (pair / TILE_ROWS * count + tile) * TILE_PAIRS + pair % TILE_ROWS * 32),
          row(pair % TILE_ROWS),
          jump((count - 1) * TILE_PAIRS) {}

    // Of each number at most one of `left` and `right` is set. `both`: there is a tile for the upper 16 channels.
    inline void put(bool both, __m512i all, __mmask32 left, __mmask32 right) {
        put_half(numbers, _mm512_castsi512_si256(all), static_cast<__mmask16>(left), static_cast<__mmask16>(right));
        if (both)
            put_half(numbers + TILE_PAIRS, _mm512_extracti64x4_epi64(all, 1), static_cast<__mmask16>(left >> LANES),
                     static_cast<__mmask16>(right >> LANES));
        numbers += 32;
        if (++row == TILE_ROWS) numbers += jump, row = 0;
    }

   private:
    static inline void put_half(bfloat16 *pair, __m256i half, __mmask16 left, __mmask16 right) {
        const __m512i wide = _mm512_cvtepu16_epi32(half);
        _mm512_store_si512(pair, _mm512_mask_slli_epi32(_mm512_maskz_mov_epi32(left, wide), right, wide, 16));
    }
};

// What was taken from the values of an image, and the gradient of it; `choice` is NULL where all of them were taken.
struct Taken {
    const Geometry &g;
    const uint8_t *choice;
    const bfloat16 *dy;

    Taken(const Geometry &geometry, const uint8_t *choices, const bfloat16 *gradients, int64_t image)
        : g(geometry),
          choice(choices == nullptr ? nullptr : choices + image * geometry.output_numbers()),
          dy(gradients + image * geometry.output_numbers()) {}

    // Write the gradient of every value. `width` pixels make a row, `depth` numbers a pixel.
    void spread(bfloat16 *to, int64_t width, int64_t depth) const {
        const int64_t scale = g.conv.pool ? 2 : 1;
        for_rows([=](int64_t row, int64_t channel, Run from) {
            bfloat16 *pixel = to + row * width * scale * depth + channel;
            if (scale == 2) {
                spread_pooled(from, pixel, depth, width * depth);
            } else {
                spread_all(from, pixel, depth);
            }
        });
    }

    // Write the gradient of pooled values as tiles of pairs of positions, in the order (32 positions, 16 channels).
    // Two neighbours that are pooled together are such a pair, if `stride`, the positions of a row, is even.
    void pair_pooled(bfloat16 *tiles, int64_t stride) const {
        const int64_t count = rounded_up(g.conv.out_channels, LANES) / LANES;
        for_rows([=](int64_t row, int64_t channel, Run from) {
            const int64_t tile = channel / LANES;
            const bool both = tile + 1 < count;
            Pair upper(tiles, row * stride, tile, count), lower(tiles, row * stride + stride / 2, tile, count);
            for (; from.columns > 0; from.columns--, from.at += from.channels) {
                const __m512i numbers = _mm512_maskz_loadu_epi16(from.held, dy + from.at);
                const __m256i which = choices(from.at, from.held);
                upper.put(both, numbers, taken(which, 0), taken(which, 1));
                lower.put(both, numbers, taken(which, 2), taken(which, 3));
            }
        });
    }

    // Add to the sum of each out channel.
    void add_to(float *sums) const {
        const int64_t channels = g.conv.out_channels, end = g.output_numbers();
        for (int64_t channel = 0; channel < channels; channel += 32) {
            const __mmask32 held = first_of_32(channels - channel);
            vec low = zero(), high = zero();
            for (int64_t at = channel; at < end; at += channels) {
                const __mmask32 live = _mm256_mask_cmplt_epu8_mask(held, choices(at, held), _mm256_set1_epi8(4));
                const __m512i numbers = _mm512_maskz_loadu_epi16(live, dy + at);
                low = add(low, to_float32(_mm512_castsi512_si256(numbers)));
                high = add(high, to_float32(_mm512_extracti64x4_epi64(numbers, 1)));
            }
            add_to(sums + channel, low, static_cast<lanes>(held));
            add_to(sums + channel + LANES, high, static_cast<lanes>(held >> LANES));
        }
    }

   private:
    // Up to 32 channels of the outputs of a row.
    struct Run {
        int64_t channels, at, columns;
        __mmask32 held;
    };

    template <class F>
    void for_rows(F f) const {
        const int64_t channels = g.conv.out_channels, rows = g.out_rows, columns = g.out_columns;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t channel = 0; channel < channels; channel += 32)
                f(row, channel,
                  Run{channels, row * columns * channels + channel, columns, first_of_32(channels - channel)});
    }

    void spread_pooled(Run from, bfloat16 *pixel, int64_t depth, int64_t line) const {
        for (int64_t column = 0; column < from.columns; column++, from.at += from.channels, pixel += 2 * depth) {
            const __m512i numbers = _mm512_maskz_loadu_epi16(from.held, dy + from.at);
            const __m256i which = choices(from.at, from.held);
            put(pixel, from.held, numbers, taken(which, 0));
            put(pixel + depth, from.held, numbers, taken(which, 1));
            put(pixel + line, from.held, numbers, taken(which, 2));
            put(pixel + line + depth, from.held, numbers, taken(which, 3));
        }
    }
    void spread_all(Run from, bfloat16 *pixel, int64_t depth) const {
        for (int64_t column = 0; column < from.columns; column++, from.at += from.channels, pixel += depth) {
            const __m512i numbers = _mm512_maskz_loadu_epi16(from.held, dy + from.at);
            put(pixel, from.held, numbers, taken(choices(from.at, from.held), 0));
        }
    }

    inline __m256i choices(int64_t at, __mmask32 held) const {
        return choice == nullptr ? _mm256_setzero_si256() : _mm256_maskz_loadu_epi8(held, choice + at);
    }
    static inline __mmask32 taken(__m256i which, char number) {
        return _mm256_cmpeq_epi8_mask(which, _mm256_set1_epi8(number));
    }
    static inline void put(bfloat16 *pixel, __mmask32 held, __m512i numbers, __mmask32 here) {
        _mm512_mask_storeu_epi16(pixel, held, _mm512_maskz_mov_epi16(here, numbers));
    }
    static inline void add_to(float *sums, vec more, lanes held) { store(sums, add(load(sums, held), more), held); }
};

}  // namespace
#endif
