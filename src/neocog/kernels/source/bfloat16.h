// Numbers of bfloat16: rounded from float32, paired, and turned from rows to columns.
#ifndef NEOCOG_BFLOAT16_H
#define NEOCOG_BFLOAT16_H

#include <immintrin.h>
#include <stdint.h>

#include "simd.h"
#include "transpose.h"

namespace {

typedef uint16_t bfloat16;

// To the nearest even, as VCVTNEPS2BF16 does it: not-a-number stays so, and what is smaller than the normal numbers
// becomes zero.
inline __m256i to_bfloat16(__m512 a) {
#if defined(__AVX512BF16__)
    return (__m256i)_mm512_cvtneps_pbh(a);
#else
    const __m512i bits = _mm512_castps_si512(a), upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    const __mmask16 tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    rounded = _mm512_mask_and_epi32(rounded, tiny, upper, _mm512_set1_epi32(0x8000));
    rounded = _mm512_mask_or_epi32(rounded, is_nan(a), upper, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(rounded);
#endif
}

inline __m512 to_float32(__m256i a) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16)); }

inline __mmask32 first_of_32(int64_t count) {
    return count >= 32 ? ~static_cast<__mmask32>(0) : (static_cast<__mmask32>(1) << count) - 1;
}

// Two lines of 32 numbers become 32 pairs, which is how the right side of a tile product is laid out.
inline void pair(__m512i a, __m512i b, __m512i &low, __m512i &high) {
    const __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i from_b = _mm512_add_epi32(place, _mm512_set1_epi32(32));
    const __m512i words = _mm512_or_si512(place, _mm512_slli_epi32(from_b, 16));
    low = _mm512_permutex2var_epi16(a, words, b);
    high = _mm512_permutex2var_epi16(a, _mm512_add_epi16(words, _mm512_set1_epi16(16)), b);
}

// Turn the first `count` of 32 numbers of 32 lines, `pitch` numbers apart, into columns, `line` numbers apart.
inline void turn(const bfloat16 *lines, int64_t pitch, bfloat16 *columns, int64_t line, int64_t count) {
    __m512 low[16], high[16];
    for (int64_t i = 0; i < 16; i++) {
        __m512i a, b;
        pair(_mm512_load_si512(lines + 2 * i * pitch), _mm512_load_si512(lines + (2 * i + 1) * pitch), a, b);
        low[i] = _mm512_castsi512_ps(a);
        high[i] = _mm512_castsi512_ps(b);
    }
    transpose(low);
    for (int64_t i = 0; i < 16; i++) _mm512_store_ps(columns + i * line, low[i]);
    if (count <= 16) return;
    transpose(high);
    for (int64_t i = 0; i < 16; i++) _mm512_store_ps(columns + (16 + i) * line, high[i]);
}

}  // namespace
#endif
