// Products of an operand with packed weights, tile by tile.
#ifndef NEOCOG_AMX_MULTIPLY_H
#define NEOCOG_AMX_MULTIPLY_H

#include "amx_outputs.h"
#include "tiles.h"

namespace {

// Tiles 0 to 3 hold sums; the last ones the right side, those between the left side, taken in turns.
template <int COLUMNS>
constexpr int left_tile(int row) {
    return 4 + row % (4 - COLUMNS);
}
template <int COLUMNS>
constexpr int right_tile(int column) {
    return 8 - COLUMNS + column;
}

// One step: the sums of ROWS x COLUMNS tiles grow by the products of ROWS tiles, `row_distance` numbers apart, and
// COLUMNS tiles, `column_distance` numbers apart.
template <int ROWS, int COLUMNS>
inline void multiply_step(const bfloat16 *left, int64_t row_distance, int64_t pitch, const bfloat16 *right,
                          int64_t column_distance) {
    unrolled<COLUMNS>([&](auto n) { tile_load<right_tile<COLUMNS>(n())>(right + n() * column_distance, 64); });
    unrolled<ROWS>([&](auto m) {
        constexpr int row = decltype(m)::value;
        tile_load<left_tile<COLUMNS>(row)>(left + row * row_distance, pitch * 2);
        unrolled<COLUMNS>([&](auto n) {
            constexpr int column = decltype(n)::value;
            tile_multiply<row * COLUMNS + column, left_tile<COLUMNS>(row), right_tile<COLUMNS>(column)>();
        });
    });
}

// The values of 16 x ROWS positions and 16 x COLUMNS channels.
template <int ROWS, int COLUMNS>
inline void multiply(const Layout &l, const bfloat16 *left, const bfloat16 *weights, const float *bias, float *values) {
    // In variables of their own, as the compiler takes them for changed by every load of a tile otherwise.
    const int64_t taps = l.taps, blocks = l.blocks, width = l.width, pitch = l.pitch();
    const int64_t next_channels = l.steps() * TILE_PAIRS;
    unrolled<ROWS * COLUMNS>([&](auto i) { tile_load<i()>(bias + i() % COLUMNS * 16, 0); });
    for (int64_t row = 0; row < taps; row++)
        for (int64_t column = 0; column < taps; column++) {
            const bfloat16 *from = left + (row * width + column) * pitch;
            for (int64_t block = 0; block < blocks; block++, from += STEP, weights += TILE_PAIRS)
                multiply_step<ROWS, COLUMNS>(from, TILE_ROWS * pitch, pitch, weights, next_channels);
        }
    unrolled<ROWS * COLUMNS>([&](auto i) {
        tile_store<i()>(values + (i() / COLUMNS * TILE_ROWS * COLUMNS + i() % COLUMNS) * 16, COLUMNS * 64);
    });
}

// A convolution of a few images: their operand, the packed weights, a bias for every channel of every tile.
struct Convolution {
    const Layout &layout;
    const bfloat16 *weights;
    const float *bias;
    Outputs outputs;
    int64_t strip;  // rows of values that are computed at a time

    Convolution(const Layout &l, const bfloat16 *packed, const float *biases, const Outputs &o)
        : layout(l), weights(packed), bias(biases), outputs(o), strip(best_strip()) {}

    int64_t staging() const { return positions(strip) * 2 * LANES; }

    // `image`: the number of the operand's first image in the outputs.
    void apply(const Operand &operand, int64_t image, int64_t images, float *staging) const {
        const int64_t tiles = rounded_up(outputs.channels, LANES) / LANES;
        for (int64_t tile = 0; tile < tiles; tile += 2) {
            for (int64_t i = 0; i < images; i++) {
                if (tile + 1 < tiles) {
                    apply_tiles<2>(operand.values(i), image + i, tile, staging);
                } else {
                    apply_tiles<1>(operand.values(i), image + i, tile, staging);
                }
            }
        }
    }

   private:
    int64_t positions(int64_t rows) const {
        return rounded_up((rows - 1) * layout.stride + layout.columns, 2 * TILE_ROWS);
    }

    // Few enough for the values to stay in the first cache, and filling whole tiles best.
    int64_t best_strip() const {
        constexpr int64_t most_positions = 256;
        const int64_t unit = outputs.pool ? 2 : 1;
        int64_t best = unit, least = INT64_MAX;
        for (int64_t rows = unit; rows <= layout.rows; rows += unit) {
            const int64_t rest = layout.rows % rows;
            const int64_t total = layout.rows / rows * positions(rows) + (rest ? positions(rest) : 0);
            if (total < least) best = rows, least = total;
            if ((rows + unit) * layout.stride > most_positions) break;
        }
        return best;
    }

    template <int TILES>
    void apply_tiles(const bfloat16 *values, int64_t image, int64_t tile, float *staging) const {
        const bfloat16 *own = weights + tile * layout.steps() * TILE_PAIRS;
        for (int64_t begin = 0; begin < layout.rows; begin += strip) {
            const int64_t end = Geometry::smaller(begin + strip, layout.rows), count = positions(end - begin);
            const bfloat16 *left = values + begin * layout.stride * layout.pitch();
            for (int64_t at = 0; at < count;) {
                const bool four = TILES == 1 && count - at > 2 * TILE_ROWS;
                const bfloat16 *from = left + at * layout.pitch();
                float *to = staging + at * TILES * LANES;
                if (four) {
                    multiply<4, 1>(layout, from, own, bias + tile * LANES, to);
                } else {
                    multiply<2, TILES>(layout, from, own, bias + tile * LANES, to);
                }
                at += (four ? 4 : 2) * TILE_ROWS;
            }
            outputs.take(image, begin, end, layout.stride, tile * LANES, TILES, staging);
        }
    }
};

}  // namespace
#endif
