// What follows a convolution's values: pooling, relu, the note of which value was taken, and rounding to bfloat16.
#ifndef NEOCOG_AMX_OUTPUTS_H
#define NEOCOG_AMX_OUTPUTS_H

#include "amx_operand.h"

namespace {

// The four values that a pooled one is taken from: where they are, and their numbers, 0 to 3. One that lies in the
// pooling's padding is replaced by a neighbour.
struct Window {
    const float *value[4];
    int number[4];
};

// A value and which of its window it was.
struct Largest {
    vec value;
    places number;
};

inline lanes unordered(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }

// As PyTorch's max pooling: the first of equals, and the last not-a-number before all others.
inline Largest largest(const Window &window) {
    Largest best = {load(window.value[0]), place(window.number[0])};
    for (int i = 1; i < 4; i++) {
        const vec other = load(window.value[i]);
        const lanes wins = either(greater(other, best.value), is_nan(other));
        best.value = choose(wins, best.value, other);
        best.number = choose(wins, best.number, place(window.number[i]));
    }
    return best;
}

// The same for four neighbours `position` and `line` numbers apart, faster while all are numbers.
inline Largest largest(const float *from, int64_t position, int64_t line) {
    const vec a = load(from), b = load(from + position), c = load(from + line), d = load(from + line + position);
    if (any(either(unordered(a, b), unordered(c, d))))
        return largest(Window{{from, from + position, from + line, from + line + position}, {0, 1, 2, 3}});
    const vec upper = _mm512_max_ps(a, b), lower = _mm512_max_ps(c, d);
    const places in_upper = choose(greater(b, a), place(0), place(1));
    const places in_lower = choose(greater(d, c), place(2), place(3));
    return {_mm512_max_ps(upper, lower), choose(greater(lower, upper), in_upper, in_lower)};
}

// Where 16 channels go, how many of them there are, and what is done last.
struct Target {
    bfloat16 *y;
    uint8_t *choice;
    int64_t count;
    bool relu;

    inline void put(int64_t at, Largest taken) const {
        if (relu) {
            const lanes live = not_at_most(taken.value, zero());
            taken = {choose(live, zero(), taken.value), choose(live, place(4), taken.number)};
        }
        _mm256_mask_storeu_epi16(y + at, first(count), to_bfloat16(taken.value));
        if (choice != nullptr) store_bytes(choice + at, taken.number, count);
    }
};

struct Outputs {
    int64_t out_rows, out_columns, channels;
    int64_t rows, columns;  // of the values that there are, without the pooling's padding
    int64_t shift;          // of the pooling's padding
    bool pool, relu;
    bfloat16 *y;
    uint8_t *choice;

    // Take the values of the rows from `begin` to `end` of an image: for each position `tiles` x 16 channels.
    void take(int64_t image, int64_t begin, int64_t end, int64_t stride, int64_t channel, int64_t tiles,
              const float *values) const {
        const int64_t position = tiles * LANES, scale = pool ? 2 : 1;
        for (int64_t tile = 0; tile < tiles; tile++, channel += LANES, values += LANES) {
            for (int64_t row = begin / scale; row < end / scale; row++) {
                const int64_t at = (image * out_rows + row) * out_columns * channels + channel;
                const Target to{y + at, choice == nullptr ? nullptr : choice + at, channels - channel, relu};
                const float *from = values + (row * scale - begin) * stride * position;
                if (pool) {
                    take_pooled_row(row, from, position, stride * position, to);
                } else {
                    take_row(from, position, to);
                }
            }
        }
    }

   private:
    void take_row(const float *from, int64_t position, Target to) const {
        const int64_t next = channels, end = out_columns * channels;
        for (int64_t at = 0; at < end; at += next, from += position) to.put(at, {load(from), place(0)});
    }

    void take_pooled_row(int64_t row, const float *from, int64_t position, int64_t line, Target to) const {
        const bool whole = !shift || (row > 0 && 2 * row < rows);
        const int64_t begin = whole ? shift : 0, end = whole ? Geometry::smaller(columns / 2, out_columns) : 0;
        for (int64_t column = 0; column < begin; column++) take_edge(row, column, from, position, line, to);
        for (int64_t column = begin, next = channels; column < end; column++)
            to.put(column * next, largest(from + 2 * column * position, position, line));
        for (int64_t column = end; column < out_columns; column++) take_edge(row, column, from, position, line, to);
    }

    void take_edge(int64_t row, int64_t column, const float *from, int64_t position, int64_t line, Target to) const {
        to.put(column * channels, largest(at_the_edge(row, column, from + 2 * column * position, position, line)));
    }

    Window at_the_edge(int64_t row, int64_t column, const float *from, int64_t position, int64_t line) const {
        const int64_t above = 2 * row - shift, left = 2 * column - shift;
        int held[4], last = -1;
        for (int i = 3; i >= 0; i--) {
            const int64_t value_row = above + i / 2, value_column = left + i % 2;
            held[i] = value_row >= 0 && value_row < rows && value_column >= 0 && value_column < columns;
            if (held[i]) last = i;
        }
        Window window;
        for (int i = 0; i < 4; i++) {
            if (held[i]) last = i;
            window.value[i] = from + last / 2 * line + last % 2 * position;
            window.number[i] = last;
        }
        return window;
    }
};

}  // namespace
#endif
