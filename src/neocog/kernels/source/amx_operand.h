// The left side of a convolution written as a matrix product: a row of numbers for each position of the output.
//
// With many channels a row is a pixel of a copy of the image with zeros around it, its channels filled up to a
// multiple of 32; every tap of the kernel then reads the same rows, a fixed number of positions further on. With few
// channels that would multiply mostly zeros: there a row is a whole patch, kernel x kernel x channels, filled up.
#ifndef NEOCOG_AMX_OPERAND_H
#define NEOCOG_AMX_OPERAND_H

#include <string.h>

#include "bfloat16.h"
#include "geometry.h"
#include "threads.h"

namespace {

constexpr int64_t STEP = 32;  // numbers that a tile product sums over
constexpr int64_t FEW_CHANNELS = 8;

inline int64_t larger(int64_t a, int64_t b) { return a < b ? b : a; }

struct Size {
    int64_t rows, columns;
};

struct Layout {
    int64_t kernel, channels;
    int64_t rows, columns;  // of the values that are computed
    int64_t margin;         // of the copy: zeros above and left of the image
    int64_t first;          // row and column of the copy where the first value's patch begins
    int64_t height, width;  // of the copy
    bool patches;
    int64_t taps;    // along a side of the kernel, which read the same rows
    int64_t length;  // numbers of a row that are not filling
    int64_t blocks;  // of 32 numbers in a row
    int64_t stride;  // positions from one row of values to the next

    // `even`: a row of the copy has an even number of pixels.
    Layout(int64_t kernel_size, int64_t channel_count, Size image, Size values, int64_t zeros, int64_t begin, bool even)
        : kernel(kernel_size),
          channels(channel_count),
          rows(values.rows),
          columns(values.columns),
          margin(zeros),
          first(begin),
          height(larger(begin + rows + kernel - 1, margin + image.rows)),
          width(rounded_up(larger(begin + columns + kernel - 1, margin + image.columns), even ? 2 : 1)),
          patches(channels <= FEW_CHANNELS),
          taps(patches ? 1 : kernel),
          length(patches ? kernel * kernel * channels : channels),
          blocks((length + STEP - 1) / STEP),
          stride(patches ? columns : width) {}

    int64_t pitch() const { return blocks * STEP; }                 // numbers from a position to the next
    int64_t depth() const { return patches ? channels : pitch(); }  // numbers from a pixel of the copy to the next
    int64_t steps() const { return taps * taps * blocks; }
    int64_t tap(int64_t row, int64_t column) const { return row * width + column; }
    // Positions from the first value's to behind the last value's, as whole steps.
    int64_t span() const { return rounded_up((rows - 1) * stride + columns, STEP); }
    // Positions from the first value's to behind the last one that any tap reads, as whole steps.
    int64_t reach() const { return rounded_up(span() + tap(taps - 1, taps - 1), STEP); }
    int64_t begin() const { return patches ? 0 : tap(first, first); }
    // Positions in all, with room for the tiles that begin at the last value's.
    int64_t positions() const { return larger(patches ? 0 : height * width, begin() + reach() + 2 * STEP); }
};

// The operand of some images at a time.
struct Operand {
    const Layout &layout;
    Array<bfloat16> copy, matrix;

    Operand(const Layout &l, int64_t images)
        : layout(l), copy(l.patches ? l.height * l.width * l.depth() : 0), matrix(images * l.positions() * l.pitch()) {
        if (!ready()) return;
        if (l.patches) clear(copy.data, l.height * l.width * l.depth());
        clear(matrix.data, images * l.positions() * l.pitch());
    }
    bool ready() const { return copy.data != nullptr && matrix.data != nullptr; }

    static void clear(bfloat16 *numbers, int64_t count) {
        memset(numbers, 0, static_cast<size_t>(count) * sizeof(bfloat16));
    }

    // Where the copy's pixels begin; what lies around the image must stay zero.
    bfloat16 *pixels(int64_t image) const {
        return (layout.patches ? copy.data : slot(image)) + layout.tap(layout.margin, layout.margin) * layout.depth();
    }
    // The row of the first value.
    bfloat16 *values(int64_t image) const { return slot(image) + layout.begin() * layout.pitch(); }

    void set(int64_t image, const bfloat16 *numbers, Size size) const {
        const int64_t channels = layout.channels, depth = layout.depth();
        bfloat16 *to = pixels(image);
        for (int64_t row = 0; row < size.rows; row++) {
            if (depth == channels) {
                memcpy(to, numbers, static_cast<size_t>(size.columns * channels) * sizeof(bfloat16));
            } else {
                for (int64_t column = 0; column < size.columns; column++)
                    copy_channels(numbers + column * channels, to + column * depth);
            }
            to += layout.width * depth;
            numbers += size.columns * channels;
        }
        complete(image);
    }

    // To be called when the copy of an image is made.
    void complete(int64_t image) const {
        if (!layout.patches) return;
        if (layout.kernel == 3) {
            cut_patches<3>(slot(image));
        } else {
            cut_patches<5>(slot(image));
        }
    }

   private:
    bfloat16 *slot(int64_t image) const { return matrix.data + image * layout.positions() * layout.pitch(); }

    void copy_channels(const bfloat16 *from, bfloat16 *to) const {
        for (int64_t i = 0; i < layout.channels; i += 32) {
            const __mmask32 held = first_of_32(layout.channels - i);
            _mm512_storeu_si512(to + i, _mm512_maskz_loadu_epi16(held, from + i));
        }
    }

    template <int KERNEL>
    void cut_patches(bfloat16 *to) const {
        const int64_t run = KERNEL * layout.channels, whole = run / 32 * 32;
        const __mmask32 held = first_of_32(run), rest = first_of_32(run - whole);
        if (run <= 8) {
            cut_patches<KERNEL>(to, [=](bfloat16 *out, const bfloat16 *from) {
                _mm_storeu_si128((__m128i *)out, _mm_maskz_loadu_epi16(static_cast<__mmask8>(held), from));
            });
        } else if (run <= 16) {
            cut_patches<KERNEL>(to, [=](bfloat16 *out, const bfloat16 *from) {
                _mm256_storeu_si256((__m256i *)out, _mm256_maskz_loadu_epi16(static_cast<__mmask16>(held), from));
            });
        } else {
            cut_patches<KERNEL>(to, [=](bfloat16 *out, const bfloat16 *from) {
                for (int64_t i = 0; i < whole; i += 32) _mm512_storeu_si512(out + i, _mm512_loadu_si512(from + i));
                _mm512_storeu_si512(out + whole, _mm512_maskz_loadu_epi16(rest, from + whole));
            });
        }
    }

    // `copy_run` copies a kernel's row of pixels and may write zeros behind it, up to a whole vector: the next run or
    // the next patch is written over them, or they are the filling.
    template <int KERNEL, class Copy>
    void cut_patches(bfloat16 *to, Copy copy_run) const {
        const int64_t depth = layout.channels, line = layout.width * depth, run = KERNEL * depth;
        const int64_t pitch = layout.pitch();
        const int64_t rows = layout.rows, columns = layout.columns;
        const bfloat16 *begin = copy.data + layout.tap(layout.first, layout.first) * depth;
        for (int64_t row = 0; row < rows; row++, begin += line) {
            const bfloat16 *from = begin;
            for (int64_t column = 0; column < columns; column++, from += depth, to += pitch)
                for (int64_t i = 0; i < KERNEL; i++) copy_run(to + i * run, from + i * line);
        }
    }
};

// The channels of one image, each with zeros around it.
struct Planes {
    const Layout &layout;
    Array<bfloat16> planes;

    Planes(const Layout &l, bool wanted) : layout(l), planes(wanted ? l.channels * l.height * l.width : 0) {
        if (ready() && wanted) Operand::clear(planes.data, l.channels * l.height * l.width);
    }
    bool ready() const { return planes.data != nullptr; }

    void set(const bfloat16 *numbers, Size size) const {
        const int64_t channels = layout.channels, plane = layout.height * layout.width;
        for (int64_t row = 0; row < size.rows; row++, numbers += size.columns * channels) {
            bfloat16 *to = planes.data + layout.tap(layout.margin + row, layout.margin);
            for (int64_t channel = 0; channel < channels; channel++, to += plane)
                for (int64_t column = 0; column < size.columns; column++)
                    to[column] = numbers[column * channels + channel];
        }
    }
};

}  // namespace
#endif
