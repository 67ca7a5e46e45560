// Sixteen by sixteen numbers and bytes turned from rows to columns, for AVX-512.
#ifndef NEOCOG_TRANSPOSE_H
#define NEOCOG_TRANSPOSE_H

#include "simd.h"

#if defined(__AVX512F__)
namespace {

// rows[i][j] becomes rows[j][i].
inline __attribute__((always_inline)) void transpose(__m512 rows[16]) {
    __m512 half[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        half[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        half[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512d a = _mm512_castps_pd(half[4 * i]), b = _mm512_castps_pd(half[4 * i + 1]);
        const __m512d c = _mm512_castps_pd(half[4 * i + 2]), d = _mm512_castps_pd(half[4 * i + 3]);
        rows[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        rows[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        rows[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        rows[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    // Lane l of rows[4 * i + j] holds column 4 * l + j of the rows 4 * i to 4 * i + 3.
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512 a = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0x88),
                     b = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0x88);
        const __m512 c = _mm512_shuffle_f32x4(rows[j], rows[4 + j], 0xdd),
                     d = _mm512_shuffle_f32x4(rows[8 + j], rows[12 + j], 0xdd);
        half[j] = _mm512_shuffle_f32x4(a, b, 0x88);
        half[8 + j] = _mm512_shuffle_f32x4(a, b, 0xdd);
        half[4 + j] = _mm512_shuffle_f32x4(c, d, 0x88);
        half[12 + j] = _mm512_shuffle_f32x4(c, d, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) rows[i] = half[i];
}

// Bytes at rows[i] + j go to columns[j][i]; `columns` is aligned to 64 bytes.
inline void transpose_bytes(const uint8_t *const rows[16], uint8_t columns[16][16]) {
    __m512i four[4];
    for (int i = 0; i < 4; i++) {
        __m512i lines = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)rows[i]));
        lines = _mm512_inserti32x4(lines, _mm_loadu_si128((const __m128i *)rows[4 + i]), 1);
        lines = _mm512_inserti32x4(lines, _mm_loadu_si128((const __m128i *)rows[8 + i]), 2);
        four[i] = _mm512_inserti32x4(lines, _mm_loadu_si128((const __m128i *)rows[12 + i]), 3);
    }
    const __m512i a = _mm512_unpacklo_epi8(four[0], four[1]), b = _mm512_unpackhi_epi8(four[0], four[1]);
    const __m512i c = _mm512_unpacklo_epi8(four[2], four[3]), d = _mm512_unpackhi_epi8(four[2], four[3]);
    const __m512i quads[4] = {_mm512_unpacklo_epi16(a, c), _mm512_unpackhi_epi16(a, c), _mm512_unpacklo_epi16(b, d),
                              _mm512_unpackhi_epi16(b, d)};
    const __m512i across = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int i = 0; i < 4; i++) _mm512_store_si512(columns[4 * i], _mm512_permutexvar_epi32(across, quads[i]));
}

}  // namespace
#endif
#endif
