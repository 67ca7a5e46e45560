// The gradients of a block, from the live outputs alone.
//
// Of a pooled cell only the output that was taken has a gradient, and none where relu gave 0: at most a quarter of the
// convolution's outputs are live. For each output channel they are listed once, (where, how much); the weights'
// gradient is a sum of stretches of the image, the image's gradient a sum of stretches of the weights, and each list
// entry adds one. The image is kept in blocks of at most BLOCK channels: a kernel's row is one stretch, and all of it
// stays in the first cache while an output channel after the other walks over it.
#ifndef NEOCOG_GRADIENTS_H
#define NEOCOG_GRADIENTS_H

#include "geometry.h"
#include "live.h"
#include "simd.h"

namespace {

constexpr int64_t BLOCK = LANES;

// How the channels of the image are cut into blocks, and the stretch that one row of a kernel is.
struct Blocks {
    int64_t width, count, stretch, vectors, copy_numbers, kernel_numbers;

    explicit Blocks(const Geometry &g) {
        width = g.conv.in_channels < BLOCK ? g.conv.in_channels : BLOCK;
        count = (g.conv.in_channels + width - 1) / width;
        stretch = g.conv.kernel * width;
        vectors = (stretch + LANES - 1) / LANES;
        copy_numbers = g.padded_rows * g.padded_columns * width;
        kernel_numbers = g.conv.kernel * vectors * LANES;
    }

    // Of all blocks of an image; the last stretch may be read a vector too far.
    int64_t image_numbers() const { return count * copy_numbers + vectors * LANES; }

    void copy(const Geometry &g, const float *image, float *to) const {
        for (int64_t block = 0; block < count; block++)
            copy_image(g, image, to + block * copy_numbers, width, block * width,
                       Geometry::smaller((block + 1) * width, g.conv.in_channels));
    }
};

// An output channel's list, and what it is walked over with.
struct Entries {
    const int32_t *offsets;
    const float *gradients;
    int64_t count;
};

// For each entry add gradient * (the window's rows in `copy`) to ROWS x VECTORS vectors at `sums`, and, where BACK, add
// gradient * (the vectors at `weights`) to the window in `back`. `rest` are the lanes of a row's last vector, where not
// WHOLE.
template <int ROWS, int VECTORS, bool BACK, bool WHOLE>
void walk(const Entries &entries, const float *copy, int64_t line, float *sums, const float *weights, float *back,
          lanes rest) {
    // So many sums at once that no addition waits for the one before.
    constexpr int TURNS = BACK || ROWS * VECTORS >= 8 ? 1 : ROWS * VECTORS >= 4 ? 2 : 4;
    vec sum[TURNS][ROWS][VECTORS], weight[ROWS][VECTORS];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) {
            sum[0][r][v] = load(sums + (r * VECTORS + v) * LANES);
            for (int turn = 1; turn < TURNS; turn++) sum[turn][r][v] = zero();
            if (BACK) weight[r][v] = load(weights + (r * VECTORS + v) * LANES);
        }
    const auto entry = [&](int64_t at, int turn) __attribute__((always_inline)) {
        const vec gradient = spread(entries.gradients[at]);
        const float *window = copy + entries.offsets[at];
        float *to = back + entries.offsets[at];
#pragma GCC unroll 5
        for (int r = 0; r < ROWS; r++, window += line, to += line)
#pragma GCC unroll 5
            for (int v = 0; v < VECTORS; v++) {
                sum[turn][r][v] = fma(gradient, load(window + v * LANES), sum[turn][r][v]);
                if (!BACK) continue;
                const vec total = fma(gradient, weight[r][v], in_register(load(to + v * LANES)));
                if (WHOLE || v + 1 < VECTORS) {
                    store(to + v * LANES, total);
                } else {
                    store(to + v * LANES, total, rest);
                }
            }
    };
    int64_t at = 0;
    for (; at + TURNS <= entries.count; at += TURNS)
#pragma GCC unroll 4
        for (int turn = 0; turn < TURNS; turn++) entry(at + turn, turn);
    for (; at < entries.count; at++) entry(at, 0);
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) {
            vec total = sum[0][r][v];
            for (int turn = 1; turn < TURNS; turn++) total = add(total, sum[turn][r][v]);
            store(sums + (r * VECTORS + v) * LANES, total);
        }
}

// The `walk` for numbers that are known at run time only. A kernel's rows are walked in groups of `rows`, as many as
// the registers hold.
struct Walk {
    typedef void (*Function)(const Entries &, const float *, int64_t, float *, const float *, float *, lanes);
    int64_t rows;
    Function function;

    Walk(int64_t kernel, int64_t vectors, bool back, bool whole) : rows(kernel), function(nullptr) {
        while (rows * vectors * (back ? 2 : 1) > REGISTERS - (back ? 3 : 4)) rows--;
        while (kernel % rows) rows--;
        if (rows == 1) with_rows<1>(vectors, back, whole);
        if (rows == 3) with_rows<3>(vectors, back, whole);
        if (rows == 5) with_rows<5>(vectors, back, whole);
    }

   private:
    template <int ROWS>
    void with_rows(int64_t vectors, bool back, bool whole) {
        if (vectors == 1) take<ROWS, 1>(back, whole);
        if (vectors == 2) take<ROWS, 2>(back, whole);
        if (vectors == 3) take<ROWS, 3>(back, whole);
        if (vectors == 4) take<ROWS, 4>(back, whole);
        if (vectors == 5) take<ROWS, 5>(back, whole);
    }
    template <int ROWS, int VECTORS>
    void take(bool back, bool whole) {
        function = !back   ? walk<ROWS, VECTORS, false, true>
                   : whole ? walk<ROWS, VECTORS, true, true>
                           : walk<ROWS, VECTORS, true, false>;
    }
};

struct Gradients {
    const Geometry &g;
    const Blocks &blocks;
    const Walk &walk;
    const float *x, *packed;
    const uint8_t *choice;
    const float *dy;
    float *dx, *sums, *biases;  // sums and biases: one set for each part
    int64_t images_of_part;

    struct Memory {
        Array<float> copy, back;
        LiveLists live;
        explicit Memory(const Gradients &job)
            : copy(job.blocks.image_numbers()),
              back(job.dx == nullptr ? 1 : job.blocks.image_numbers()),
              live(job.g, job.blocks.width) {
            if (copy.data != nullptr)
                memset(copy.data, 0, static_cast<size_t>(job.blocks.image_numbers()) * sizeof(float));
        }
        bool ready() const { return copy.data != nullptr && back.data != nullptr && live.ready(); }
    };

    int64_t sums_numbers() const { return g.conv.out_channels * blocks.count * blocks.kernel_numbers; }

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * images_of_part, end = Geometry::smaller(begin + images_of_part, g.conv.images);
        float *own = sums + number * sums_numbers(), *bias = biases + number * g.conv.out_channels;
        memset(own, 0, static_cast<size_t>(sums_numbers()) * sizeof(float));
        memset(bias, 0, static_cast<size_t>(g.conv.out_channels) * sizeof(float));
        for (int64_t image = begin; image < end; image++) {
            blocks.copy(g, x + image * g.input_numbers(), memory.copy.data);
            memory.live.list(dy + image * g.output_numbers(),
                             choice == nullptr ? nullptr : choice + image * g.output_numbers(), bias);
            if (dx != nullptr) memset(memory.back.data, 0, static_cast<size_t>(blocks.image_numbers()) * sizeof(float));
            for (int64_t block = 0; block < blocks.count; block++) walk_block(memory, block, own);
            if (dx != nullptr) unpack(memory.back.data, dx + image * g.input_numbers());
        }
    }

   private:
    void walk_block(const Memory &memory, int64_t block, float *own) const {
        const int64_t line = g.padded_columns * blocks.width, begin = block * blocks.copy_numbers;
        const lanes rest = first(blocks.stretch - (blocks.vectors - 1) * LANES);
        for (int64_t out = 0; out < g.conv.out_channels; out++) {
            const int64_t list = out * memory.live.room, kernel = (out * blocks.count + block) * blocks.kernel_numbers;
            const Entries entries{memory.live.offsets.data + list, memory.live.gradients.data + list,
                                  memory.live.counts.data[out]};
            for (int64_t row = 0; row < g.conv.kernel; row += walk.rows) {
                const int64_t skip = row * blocks.vectors * LANES;
                walk.function(entries, memory.copy.data + begin + row * line, line, own + kernel + skip,
                              packed + kernel + skip, memory.back.data + begin + row * line, rest);
            }
        }
    }

    void unpack(const float *back, float *image) const {
        const int64_t channels = g.conv.in_channels;
        for (int64_t row = 0; row < g.conv.height; row++)
            for (int64_t column = 0; column < g.conv.width; column++, image += channels) {
                if (row >= g.held_rows() || column >= g.held_columns()) {
                    memset(image, 0, static_cast<size_t>(channels) * sizeof(float));
                    continue;
                }
                const int64_t pixel = (row + g.margin) * g.padded_columns + column + g.margin;
                for (int64_t block = 0; block < blocks.count; block++) {
                    const float *from = back + block * blocks.copy_numbers + pixel * blocks.width;
                    const int64_t begin = block * blocks.width;
                    copy_run(image + begin, from, Geometry::smaller(blocks.width, channels - begin));
                }
            }
    }
};

// The weights in the order of the stretches: (out channel, block, kernel row, vectors of kernel column and channel).
inline void pack_stretches(const Geometry &g, const Blocks &blocks, const float *weight, float *packed) {
    const int64_t kernel = g.conv.kernel, channels = g.conv.in_channels;
    memset(packed, 0, static_cast<size_t>(g.conv.out_channels * blocks.count * blocks.kernel_numbers) * sizeof(float));
    for (int64_t out = 0; out < g.conv.out_channels; out++)
        for (int64_t row = 0; row < kernel; row++)
            for (int64_t column = 0; column < kernel; column++, weight += channels) {
                float *to = packed + out * blocks.count * blocks.kernel_numbers + row * blocks.vectors * LANES +
                            column * blocks.width;
                for (int64_t begin = 0; begin < channels; begin += blocks.width, to += blocks.kernel_numbers)
                    copy_run(to, weight + begin, Geometry::smaller(blocks.width, channels - begin));
            }
}

// Add the parts' sums in the order of the parts, out channel by out channel.
struct Total {
    typedef NoMemory Memory;
    const Geometry &g;
    const Blocks &blocks;
    const float *sums, *biases;
    int64_t parts;
    float *dw, *db;

    void part(int64_t out, Memory &) const {
        const int64_t kernel = g.conv.kernel, channels = g.conv.in_channels, own = blocks.count * blocks.kernel_numbers;
        const int64_t set = g.conv.out_channels * own;
        float *to = dw + out * kernel * kernel * channels;
        alignas(64) float total[5 * LANES];
        for (int64_t block = 0; block < blocks.count; block++)
            for (int64_t row = 0; row < kernel; row++) {
                const float *from = sums + out * own + block * blocks.kernel_numbers + row * blocks.vectors * LANES;
                for (int64_t v = 0; v < blocks.vectors * LANES; v += LANES) {
                    vec sum = load(from + v);
                    for (int64_t part = 1; part < parts; part++) sum = add(sum, load(from + part * set + v));
                    store(total + v, sum);
                }
                const int64_t begin = block * blocks.width, width = Geometry::smaller(blocks.width, channels - begin);
                for (int64_t column = 0; column < kernel; column++)
                    memcpy(to + (row * kernel + column) * channels + begin, total + column * blocks.width,
                           static_cast<size_t>(width) * sizeof(float));
            }
        if (db == nullptr) return;
        db[out] = 0.0f;
        for (int64_t part = 0; part < parts; part++) db[out] += biases[part * g.conv.out_channels + out];
    }
};

// The batch in parts of some images each. How many depends on nothing but the shapes and the number of threads.
struct Parts {
    int64_t set, images, count;  // numbers of a part's sums, images of a part, parts

    Parts(const Geometry &g, const Blocks &blocks, const neocog_threads *threads) {
        set = g.conv.out_channels * blocks.count * blocks.kernel_numbers;
        // Several for each thread, so that none waits long for another; fewer where the sums of a part are large.
        const int64_t wanted = Geometry::smaller(8 * threads->count, 1 + (int64_t(1) << 20) / set);
        const int64_t least = wanted > threads->count ? wanted : threads->count;
        images = g.conv.images ? (g.conv.images + least - 1) / least : 1;
        count = g.conv.images ? (g.conv.images + images - 1) / images : 1;
    }
};

inline int gradients(const Geometry &g, const neocog_threads *threads, const float *x, const float *weight,
                     const uint8_t *choice, const float *dy, float *dx, float *dw, float *db) {
    const Blocks blocks(g);
    const Walk walk(g.conv.kernel, blocks.vectors, dx != nullptr, blocks.stretch % LANES == 0);
    const Parts parts(g, blocks, threads);
    Array<float> packed(dx == nullptr ? 1 : parts.set), sums(parts.count * parts.set),
        biases(parts.count * g.conv.out_channels);
    if (packed.data == nullptr || sums.data == nullptr || biases.data == nullptr) return NEOCOG_NO_MEMORY;
    if (dx != nullptr) pack_stretches(g, blocks, weight, packed.data);
    const Gradients job{g, blocks, walk, x, packed.data, choice, dy, dx, sums.data, biases.data, parts.images};
    if (!in_parallel(threads, parts.count, job)) return NEOCOG_NO_MEMORY;
    const Total total{g, blocks, sums.data, biases.data, parts.count, dw, db};
    return in_parallel(threads, g.conv.out_channels, total) ? NEOCOG_OK : NEOCOG_NO_MEMORY;
}

}  // namespace
#endif
