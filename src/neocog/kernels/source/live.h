// The live outputs of an image: those with a gradient, listed for each output channel as (where, how much).
#ifndef NEOCOG_LIVE_H
#define NEOCOG_LIVE_H

#include "geometry.h"
#include "threads.h"
#include "transpose.h"

namespace {

struct LiveLists {
    const Geometry &g;
    int64_t room;            // entries of a list, with space for a whole vector behind the last
    Array<int32_t> offsets;  // of an output's window in the padded copy, in numbers
    Array<float> gradients;
    Array<int32_t> counts, begins;

    // `width`: the numbers of a pixel of the copy.
    LiveLists(const Geometry &geometry, int64_t width)
        : g(geometry),
          room(rounded_up(geometry.outputs(), 16) + 16),
          offsets(geometry.conv.out_channels * room),
          gradients(geometry.conv.out_channels * room),
          counts(rounded_up(geometry.conv.out_channels, 16)),
          begins(room) {
        if (!ready()) return;
        const int64_t cell = g.conv.pool ? 2 : 1;
        for (int64_t at = 0; at < room; at++)
            begins.data[at] = static_cast<int32_t>(
                (cell * (at / g.out_columns) * g.padded_columns + cell * (at % g.out_columns)) * width);
        steps[1] = g.conv.pool ? static_cast<int32_t>(width) : 0;
        steps[2] = g.conv.pool ? static_cast<int32_t>(g.padded_columns * width) : 0;
        steps[3] = steps[1] + steps[2];
    }
    bool ready() const {
        return offsets.data != nullptr && gradients.data != nullptr && counts.data != nullptr && begins.data != nullptr;
    }

    // List the live outputs of an image, and add the sum of each channel's to `bias`.
    void list(const float *dy, const uint8_t *choice, float *bias) {
        memset(counts.data, 0, static_cast<size_t>(g.conv.out_channels) * sizeof(int32_t));
        for (int64_t out = 0; out < g.conv.out_channels; out += 16)
            for (int64_t at = 0; at < g.outputs(); at += 16) group(dy, choice, out, at, bias);
    }

   private:
    int32_t steps[4] = {0, 0, 0, 0};

    // Take in 16 outputs of 16 channels.
    void group(const float *dy, const uint8_t *choice, int64_t out, int64_t at, float *bias) {
        const int64_t outs = g.conv.out_channels, channels = Geometry::smaller(16, outs - out);
        const int64_t outputs = Geometry::smaller(16, g.outputs() - at);
        dy += at * outs + out;
        if (choice != nullptr) choice += at * outs + out;
#if defined(__AVX512F__)
        alignas(64) uint8_t taken[16][16];
        __m512 values[16];
        const uint8_t *rows[16];
        alignas(16) uint8_t edge[16][16];
        for (int64_t i = 0; i < 16; i++) {
            values[i] = i < outputs ? load(dy + i * outs, first(channels)) : zero();
            if (choice == nullptr) continue;
            rows[i] = choice + i * outs;
            if (i < outputs && channels == 16) continue;
            _mm_store_si128((__m128i *)edge[i], i < outputs ? _mm_maskz_loadu_epi8(first(channels), choice + i * outs)
                                                            : _mm_setzero_si128());
            rows[i] = edge[i];
        }
        if (choice != nullptr) transpose_bytes(rows, taken);
        transpose(values);
        const __m512i begin = _mm512_loadu_si512(begins.data + at);
        const __m512i step = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)steps));
        for (int64_t channel = 0; channel < channels; channel++) {
            lanes live = first(outputs);
            __m512i offset = begin;
            if (choice != nullptr) {
                const __m512i which = _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)taken[channel]));
                live = _mm512_mask_cmplt_epi32_mask(live, which, _mm512_set1_epi32(4));
                offset = _mm512_add_epi32(begin, _mm512_permutexvar_epi32(which, step));
            }
            int32_t &count = counts.data[out + channel];
            const int64_t to = (out + channel) * room + count;
            _mm512_storeu_si512(offsets.data + to, _mm512_maskz_compress_epi32(live, offset));
            _mm512_storeu_ps(gradients.data + to, _mm512_maskz_compress_ps(live, values[channel]));
            bias[out + channel] += _mm512_reduce_add_ps(_mm512_maskz_mov_ps(live, values[channel]));
            count += __builtin_popcount(live);
        }
#else
        for (int64_t i = 0; i < outputs; i++, dy += outs) {
            for (int64_t channel = 0; channel < channels; channel++) {
                const uint8_t which = choice == nullptr ? 0 : choice[channel];
                const bool live = which < 4;
                int32_t &count = counts.data[out + channel];
                const int64_t to = (out + channel) * room + count;
                offsets.data[to] = begins.data[at + i] + steps[which & 3];
                gradients.data[to] = dy[channel];
                bias[out + channel] += live ? dy[channel] : 0.0f;
                count += live;
            }
            if (choice != nullptr) choice += outs;
        }
#endif
    }
};

}  // namespace
#endif
