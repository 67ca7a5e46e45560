// One vector of float32 under one name for AVX-512 (16 lanes) and AVX2 (8 lanes).
#ifndef NEOCOG_SIMD_H
#define NEOCOG_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace {

#if defined(__AVX512F__)

constexpr int LANES = 16;
constexpr int REGISTERS = 32;
typedef __m512 vec;
typedef __mmask16 lanes;

inline vec load(const float *p) { return _mm512_loadu_ps(p); }
inline void store(float *p, vec a) { _mm512_storeu_ps(p, a); }
inline vec spread(float a) { return _mm512_set1_ps(a); }
inline vec zero() { return _mm512_setzero_ps(); }
inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
inline vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
inline vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
inline vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
inline vec larger(vec a, vec b) { return _mm512_max_ps(a, b); }
inline lanes first(int64_t count) { return count >= 16 ? (lanes)0xffff : (lanes)((1u << count) - 1); }
inline vec load(const float *p, lanes m) { return _mm512_maskz_loadu_ps(m, p); }
inline void store(float *p, vec a, lanes m) { _mm512_mask_storeu_ps(p, m, a); }
inline lanes greater(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline lanes is_nan(vec a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
// a > b, or either is not a number.
inline lanes not_at_most(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ); }
inline lanes either(lanes a, lanes b) { return (lanes)(a | b); }
inline bool any(lanes m) { return m != 0; }
// b where m, else a.
inline vec choose(lanes m, vec a, vec b) { return _mm512_mask_blend_ps(m, a, b); }

// Small whole numbers, one for each lane.
typedef __m512i places;
inline places place(int a) { return _mm512_set1_epi32(a); }
inline places choose(lanes m, places a, places b) { return _mm512_mask_blend_epi32(m, a, b); }
inline places load_bytes(const uint8_t *p, int64_t count) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(count), p));
}
inline lanes equal(places a, places b) { return _mm512_cmpeq_epi32_mask(a, b); }
inline vec only(lanes m, vec a) { return _mm512_maskz_mov_ps(m, a); }
inline void store_bytes(uint8_t *p, places a, int64_t count) {
    _mm_mask_storeu_epi8(p, first(count), _mm512_cvtepi32_epi8(a));
}

#elif defined(__AVX2__)

constexpr int LANES = 8;
constexpr int REGISTERS = 16;
typedef __m256 vec;
typedef __m256 lanes;

inline vec load(const float *p) { return _mm256_loadu_ps(p); }
inline void store(float *p, vec a) { _mm256_storeu_ps(p, a); }
inline vec spread(float a) { return _mm256_set1_ps(a); }
inline vec zero() { return _mm256_setzero_ps(); }
inline vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
inline vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
inline vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
inline vec larger(vec a, vec b) { return _mm256_max_ps(a, b); }
inline lanes first(int64_t count) {
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count > 8 ? 8 : (int)count), order));
}
inline vec load(const float *p, lanes m) { return _mm256_maskload_ps(p, _mm256_castps_si256(m)); }
inline void store(float *p, vec a, lanes m) { _mm256_maskstore_ps(p, _mm256_castps_si256(m), a); }
inline lanes greater(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline lanes is_nan(vec a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
inline lanes not_at_most(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_NLE_UQ); }
inline lanes either(lanes a, lanes b) { return _mm256_or_ps(a, b); }
inline bool any(lanes m) { return _mm256_movemask_ps(m) != 0; }
inline vec choose(lanes m, vec a, vec b) { return _mm256_blendv_ps(a, b, m); }

typedef __m256i places;
inline places place(int a) { return _mm256_set1_epi32(a); }
inline places choose(lanes m, places a, places b) {
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), m));
}
inline places load_bytes(const uint8_t *p, int64_t count) {
    uint64_t bytes = 0;
    memcpy(&bytes, p, static_cast<size_t>(count < 8 ? count : 8));
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(bytes)));
}
inline lanes equal(places a, places b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
inline vec only(lanes m, vec a) { return _mm256_and_ps(m, a); }
inline void store_bytes(uint8_t *p, places a, int64_t count) {
    alignas(32) int32_t wide[8];
    _mm256_store_si256((__m256i *)wide, a);
    for (int64_t i = 0; i < (count < 8 ? count : 8); i++) p[i] = (uint8_t)wide[i];
}

#else
#error "compile this file for AVX2 with FMA or for AVX-512"
#endif

// Keep the compiler from reading `a` from memory as part of a multiplication, which costs it a copy of the gradient.
inline vec in_register(vec a) {
    __asm__("" : "+v"(a));
    return a;
}

}  // namespace
#endif
