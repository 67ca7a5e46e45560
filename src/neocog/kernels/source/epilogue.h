// What follows the four outputs of a cell: pooling, relu, and the note of which of them was taken.
#ifndef NEOCOG_EPILOGUE_H
#define NEOCOG_EPILOGUE_H

#include <math.h>

#include "geometry.h"
#include "simd.h"

namespace {

struct Outputs {
    const Geometry &g;
    float *y;
    uint8_t *choice;

    // Take the four outputs (row by row) of the cell at (row, column) of an image, for `LANES` channels from `channel`
    // on.
    inline void cell(int64_t image, int64_t row, int64_t column, int64_t channel, vec a, vec b, vec c, vec d) const {
        if (g.conv.pool) {
            pooled(image, row, column, channel, a, b, c, d);
        } else {
            single(image, 2 * row, 2 * column, channel, a);
            single(image, 2 * row, 2 * column + 1, channel, b);
            single(image, 2 * row + 1, 2 * column, channel, c);
            single(image, 2 * row + 1, 2 * column + 1, channel, d);
        }
    }

   private:
    inline void pooled(int64_t image, int64_t row, int64_t column, int64_t channel, vec a, vec b, vec c, vec d) const {
        vec best = a;
        places taken = place(0);
        if (g.shift && (row == 0 || column == 0 || 2 * row - 1 + 1 >= g.rows || 2 * column - 1 + 1 >= g.columns)) {
            at_the_edge(row, column, a, b, c, d, best, taken);
        } else {
            best_of_four(a, b, c, d, best, taken);
        }
        put(((image * g.out_rows + row) * g.out_columns + column) * g.conv.out_channels + channel, channel, best,
            taken);
    }

    static inline void best_of_four(vec a, vec b, vec c, vec d, vec &best, places &taken) {
        const vec total = add(add(a, b), add(c, d));
        if (any(is_nan(total))) {
            better(b, 1, best, taken);
            better(c, 2, best, taken);
            better(d, 3, best, taken);
            return;
        }
        const vec upper = larger(a, b), lower = larger(c, d);
        best = larger(upper, lower);
        taken = choose(greater(lower, upper), choose(greater(b, a), place(0), place(1)),
                       choose(greater(d, c), place(2), place(3)));
    }

    // As PyTorch's max pooling: the first of equals, and not-a-number wins.
    static inline void better(vec other, int number, vec &best, places &taken) {
        const lanes wins = either(greater(other, best), is_nan(other));
        best = choose(wins, best, other);
        taken = choose(wins, taken, place(number));
    }

    void at_the_edge(int64_t row, int64_t column, vec a, vec b, vec c, vec d, vec &best, places &taken) const {
        const vec values[4] = {a, b, c, d};
        bool begun = false;
        for (int number = 0; number < 4; number++) {
            const int64_t y_row = 2 * row - g.shift + number / 2, y_column = 2 * column - g.shift + number % 2;
            if (y_row < 0 || y_row >= g.rows || y_column < 0 || y_column >= g.columns) continue;
            if (begun) {
                better(values[number], number, best, taken);
            } else {
                best = values[number];
                taken = place(number);
                begun = true;
            }
        }
    }

    inline void single(int64_t image, int64_t row, int64_t column, int64_t channel, vec value) const {
        if (row >= g.rows || column >= g.columns) return;
        put(((image * g.rows + row) * g.columns + column) * g.conv.out_channels + channel, channel, value, place(0));
    }

    inline void put(int64_t at, int64_t channel, vec value, places taken) const {
        const int64_t count = g.conv.out_channels - channel;
        if (g.conv.relu) {
            const lanes live = not_at_most(value, zero());
            value = choose(live, zero(), value);
            taken = choose(live, place(4), taken);
        }
        if (count >= LANES) {
            store(y + at, value);
        } else {
            store(y + at, value, first(count));
        }
        if (choice != nullptr) store_bytes(choice + at, taken, count);
    }
};

}  // namespace
#endif
