// The eight tile registers of AMX, each of 16 rows of 64 bytes: 32 numbers of bfloat16 or 16 of float32.
//
// The instructions are written out, because the compilers' own functions for them do not say that they read and write
// memory, and are then moved across the stores that they depend on. With NEOCOG_EMULATE_AMX the same functions
// compute in software what the tiles would, to the bit: for tests on processors without AMX.
#ifndef NEOCOG_TILES_H
#define NEOCOG_TILES_H

#include <immintrin.h>
#include <stdint.h>

#include <utility>

namespace {

constexpr int64_t TILE_ROWS = 16;
constexpr int64_t TILE_PAIRS = 512;  // numbers of bfloat16 in a tile
constexpr int64_t TILE_SUMS = 256;   // numbers of float32 in a tile

#if !defined(NEOCOG_EMULATE_AMX)

struct alignas(64) TileConfiguration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The calling thread may use the tiles as long as this lives.
struct TileUse {
    TileUse() {
        const TileConfiguration all;
        __asm__ volatile("ldtilecfg %0" : : "m"(all));
    }
    ~TileUse() { __asm__ volatile("tilerelease" : : : "memory"); }
    TileUse(const TileUse &) = delete;
    TileUse &operator=(const TileUse &) = delete;
};

// Rows of 64 bytes, `stride` bytes apart.
template <int TILE>
inline void tile_load(const void *rows, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(TILE) : "memory");
}

template <int TILE>
inline void tile_store(void *rows, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(TILE) : "memory");
}

// SUM[i][j] += LEFT[i] . RIGHT[.][j], where a row of RIGHT holds a pair of numbers for each j.
template <int SUM, int LEFT, int RIGHT>
inline void tile_multiply() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(LEFT), "i"(RIGHT));
}

#else

struct Tiles {
    __m512i rows[8][TILE_ROWS];
    bool configured;
};
thread_local Tiles tiles = {};

struct TileUse {
    TileUse() { tiles = Tiles{{}, true}; }
    ~TileUse() { tiles = Tiles{{}, false}; }
    TileUse(const TileUse &) = delete;
    TileUse &operator=(const TileUse &) = delete;
};

// As the processor does with tiles that were not configured.
inline void tiles_must_be_configured() {
    if (!tiles.configured) __builtin_trap();
}

template <int TILE>
inline void tile_load(const void *rows, int64_t stride) {
    tiles_must_be_configured();
    for (int64_t row = 0; row < TILE_ROWS; row++)
        tiles.rows[TILE][row] = _mm512_loadu_si512(static_cast<const char *>(rows) + row * stride);
}

template <int TILE>
inline void tile_store(void *rows, int64_t stride) {
    tiles_must_be_configured();
    for (int64_t row = 0; row < TILE_ROWS; row++)
        _mm512_storeu_si512(static_cast<char *>(rows) + row * stride, tiles.rows[TILE][row]);
}

// As Intel defines TDPBF16PS: the even and the odd numbers of the pairs are summed apart, each by fused multiply-adds,
// then their sum is added; to the nearest even, and what is smaller than the normal numbers counts as zero.
template <int SUM, int LEFT, int RIGHT>
inline void tile_multiply() {
    static_assert(SUM != LEFT && SUM != RIGHT && LEFT != RIGHT, "the processor refuses equal tiles");
    tiles_must_be_configured();
    const unsigned before = _mm_getcsr();
    constexpr unsigned no_exceptions = 0x1f80, flush_results = 0x8000, flush_operands = 0x0040;
    _mm_setcsr(no_exceptions | flush_results | flush_operands);
    __asm__ volatile("" : : : "memory");
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    for (int64_t row = 0; row < TILE_ROWS; row++) {
        const int32_t *left = reinterpret_cast<const int32_t *>(&tiles.rows[LEFT][row]);
        __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
        for (int64_t k = 0; k < 16; k++) {
            const __m512i a = _mm512_set1_epi32(left[k]), b = tiles.rows[RIGHT][k];
            even = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)),
                                   _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), even);
            odd = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)),
                                  _mm512_castsi512_ps(_mm512_and_si512(b, upper)), odd);
        }
        const __m512 sum = _mm512_castsi512_ps(tiles.rows[SUM][row]);
        tiles.rows[SUM][row] = _mm512_castps_si512(_mm512_add_ps(sum, _mm512_add_ps(even, odd)));
    }
    __asm__ volatile("" : : : "memory");
    _mm_setcsr(before);
}

#endif

// Call f(0) to f(COUNT - 1) with numbers that the compiler knows, as the names of tiles must be.
template <class F, int... I>
inline void unrolled(F f, std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>()), ...);
}
template <int COUNT, class F>
inline void unrolled(F f) {
    unrolled(f, std::make_integer_sequence<int, COUNT>());
}

}  // namespace
#endif
