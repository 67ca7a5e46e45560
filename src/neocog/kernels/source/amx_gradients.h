// The gradient of the weights as a matrix product: the operand's columns times the gradient of the values.
#ifndef NEOCOG_AMX_GRADIENTS_H
#define NEOCOG_AMX_GRADIENTS_H

#include "amx_multiply.h"
#include "amx_taken.h"

namespace {

// For each tap, each 16 numbers of an operand's row and each 16 out channels a tile of sums over all positions.
struct WeightGradient {
    const Layout &layout;
    int64_t channels;  // that come out
    int64_t images;    // at a time

    int64_t row_tiles() const { return rounded_up(layout.length, LANES) / LANES; }
    int64_t column_tiles() const { return rounded_up(channels, LANES) / LANES; }
    int64_t sums() const { return layout.taps * layout.taps * row_tiles() * column_tiles() * TILE_SUMS; }
    int64_t depth() const { return rounded_up(channels, STEP); }  // numbers of a position of the values' gradient
    // Of an image: steps over its positions, numbers of the values' gradient, and of its pairs.
    int64_t steps() const { return layout.span() / STEP; }
    int64_t spread() const { return layout.span() * depth(); }
    int64_t pairs() const { return steps() * column_tiles() * TILE_PAIRS; }
    // Positions in a column of the images' operand. An odd number of cache lines, so that the rows of a tile do not
    // fall into the same set of a cache.
    int64_t line() const { return (images * layout.reach() / STEP | 1) * STEP; }
    int64_t columns() const { return layout.pitch() * line(); }

    // The operand of an image as columns: all positions of its first number, then of its second.
    void turn_operand(const bfloat16 *values, bfloat16 *columns) const {
        for (int64_t begin = 0; begin < layout.length; begin += STEP)
            for (int64_t at = 0; at < layout.reach(); at += STEP)
                turn(values + at * layout.pitch() + begin, layout.pitch(), columns + begin * line() + at, line(),
                     layout.length - begin);
    }

    // The same for patches, from the image's channels one by one: then a column is a piece of each row.
    void cut_columns(const bfloat16 *planes, bfloat16 *columns) const {
        for (int64_t tap = 0; tap < layout.kernel * layout.kernel; tap++)
            for (int64_t channel = 0; channel < layout.channels; channel++, columns += line()) {
                const bfloat16 *from = planes + channel * layout.height * layout.width;
                copy_rows(from + layout.tap(tap / layout.kernel, tap % layout.kernel), columns);
            }
    }

    // The gradient of an image's values as tiles of pairs of positions, in the order (32 positions, 16 out channels).
    void pair_spread(const bfloat16 *gradient, bfloat16 *tiles) const {
        const int64_t pixel = depth(), count = column_tiles();
        for (int64_t step = 0; step < steps(); step++, tiles += count * TILE_PAIRS)
            for (int64_t i = 0; i < TILE_ROWS; i++, gradient += 2 * pixel)
                for (int64_t tile = 0; tile < count; tile += 2) {
                    const bfloat16 *from = gradient + tile * LANES;
                    __m512i low, high;
                    pair(_mm512_load_si512(from), _mm512_load_si512(from + pixel), low, high);
                    _mm512_store_si512(tiles + tile * TILE_PAIRS + i * 32, low);
                    if (tile + 1 < count) _mm512_store_si512(tiles + (tile + 1) * TILE_PAIRS + i * 32, high);
                }
    }

    // Add the products of `count` images' columns and pairs to the sums. A few steps are taken for all sums before the
    // next few, so that what they read stays in the first cache; more where the sums do not even stay in the second.
    void add_to(float *sums_of_all, const bfloat16 *columns, const bfloat16 *pairs, int64_t count) const {
        const int64_t together = sums() > (1 << 17) ? 32 : 8;
        for (int64_t begin = 0; begin < count * steps(); begin += together) {
            const int64_t end = Geometry::smaller(begin + together, count * steps());
            const Steps some{columns, pairs, line(), begin, end};
            for (int64_t tile = 0; tile < column_tiles(); tile += 2) {
                int64_t row = 0;
                if (tile + 1 < column_tiles()) {
                    for (; row + 2 <= row_tiles(); row += 2) add_tiles<2, 2>(some, row, tile, sums_of_all);
                    for (; row < row_tiles(); row++) add_tiles<1, 2>(some, row, tile, sums_of_all);
                } else {
                    for (; row + 4 <= row_tiles(); row += 4) add_tiles<4, 1>(some, row, tile, sums_of_all);
                    for (; row < row_tiles(); row++) add_tiles<1, 1>(some, row, tile, sums_of_all);
                }
            }
        }
    }

   private:
    // What a whole vector copies too much is the next row's, and copied over.
    void copy_rows(const bfloat16 *from, bfloat16 *to) const {
        const int64_t columns = layout.columns, width = layout.width;
        int64_t left = layout.rows * columns;
        for (; left > 0; left -= columns, from += width, to += columns)
            for (int64_t i = 0; i < columns; i += 32) {
                if (left - i >= 32) {
                    _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
                } else {
                    const __mmask32 held = first_of_32(left - i);
                    _mm512_mask_storeu_epi16(to + i, held, _mm512_maskz_loadu_epi16(held, from + i));
                }
            }
    }

    struct Steps {
        const bfloat16 *columns, *pairs;
        int64_t line, begin, end;
    };

    template <int ROWS, int COLUMNS>
    void add_tiles(const Steps &some, int64_t row, int64_t column, float *sums_of_all) const {
        const bfloat16 *right = some.pairs + (some.begin * column_tiles() + column) * TILE_PAIRS;
        for (int64_t tap = 0; tap < layout.taps * layout.taps; tap++) {
            const int64_t further = layout.tap(tap / layout.taps, tap % layout.taps);
            const bfloat16 *left = some.columns + row * LANES * some.line + further;
            float *own = sums_of_all + ((tap * row_tiles() + row) * column_tiles() + column) * TILE_SUMS;
            unrolled<ROWS * COLUMNS>([&](auto i) { tile_load<i()>(own + at<COLUMNS>(i()), 64); });
            add_steps<ROWS, COLUMNS>(some, left, right);
            unrolled<ROWS * COLUMNS>([&](auto i) { tile_store<i()>(own + at<COLUMNS>(i()), 64); });
        }
    }
    template <int COLUMNS>
    int64_t at(int tile) const {
        return (tile / COLUMNS * column_tiles() + tile % COLUMNS) * TILE_SUMS;
    }

    template <int ROWS, int COLUMNS>
    void add_steps(const Steps &some, const bfloat16 *left, const bfloat16 *right) const {
        // In variables of their own, as the compiler takes them for changed by every load of a tile otherwise.
        const int64_t of_image = steps(), line = some.line, next = column_tiles() * TILE_PAIRS;
        const int64_t gap = layout.reach() - layout.span();
        int64_t step = some.begin % of_image;
        left += some.begin / of_image * layout.reach() + step * STEP;
        for (int64_t count = some.end - some.begin; count > 0; count--, left += STEP, right += next) {
            multiply_step<ROWS, COLUMNS>(left, TILE_ROWS * line, line, right, TILE_PAIRS);
            if (++step == of_image) left += gap, step = 0;
        }
    }
};

}  // namespace
#endif
