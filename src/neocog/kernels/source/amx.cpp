// The bfloat16 blocks with AMX tiles: matrix products of an operand (amx_operand.h) and the weights.
//
// The forward pass multiplies the images' operand by the weights; pooling and relu follow while the values are in the
// first cache. In the backward pass the gradient of every value of an image is written out from the pooled gradient and
// the choices; that times the turned weights is the gradient of the input, and the input's columns times that is the
// gradient of the weights. Nothing larger than a few images is ever written but the results and the sums.
//
// Checked with the software tiles of tiles.h against float64: see tests/kernels/test_amx.py.
#include "blocks.h"

#include "amx_gradients.h"
#include "amx_multiply.h"
#include "amx_weights.h"

namespace {

constexpr int64_t MOST_IMAGES = 16;  // whose operands a thread holds at a time

int64_t bounded(int64_t number, int64_t least, int64_t most) {
    return number < least ? least : number > most ? most : number;
}

Size image_size(const Geometry &g) { return {g.conv.height, g.conv.width}; }

// Of the values that are computed: with pooling those of its padding too, and none that it leaves out.
Size value_size(const Geometry &g) {
    return g.conv.pool ? Size{2 * g.cell_rows, 2 * g.cell_columns} : Size{g.rows, g.columns};
}

Layout input_layout(const Geometry &g) {
    return Layout(g.conv.kernel, g.conv.in_channels, image_size(g), value_size(g), g.margin, 0, g.conv.pool);
}

// The output's gradient, from which the input's is a convolution with the kernel turned round.
Layout gradient_layout(const Geometry &g) {
    const int64_t before = g.conv.kernel - 1 - g.margin, margin = larger(before, 0);
    return Layout(g.conv.kernel, g.conv.out_channels, value_size(g), image_size(g), margin, margin - before, false);
}

// As many images as make the operand about as large as the weights that are in use with it, so that small images do not
// read large weights again and again.
int64_t images_together(const Layout &l) {
    return bounded(l.steps() * 2 * TILE_PAIRS / (l.positions() * l.pitch()), 1, MOST_IMAGES);
}

struct Forward {
    const Geometry &g;
    const Convolution &convolution;
    const bfloat16 *x;
    int64_t images_of_part;

    struct Memory {
        TileUse tiles;
        Operand operand;
        Array<float> staging;
        explicit Memory(const Forward &job)
            : operand(job.convolution.layout, job.images_of_part), staging(job.convolution.staging()) {}
        bool ready() const { return operand.ready() && staging.data != nullptr; }
    };

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * images_of_part;
        const int64_t images = Geometry::smaller(images_of_part, g.conv.images - begin);
        for (int64_t i = 0; i < images; i++) memory.operand.set(i, x + (begin + i) * g.input_numbers(), image_size(g));
        convolution.apply(memory.operand, begin, images, memory.staging.data);
    }
};

int forward(const Geometry &g, const neocog_threads *threads, const bfloat16 *x, const float *weight, const float *bias,
            bfloat16 *y, uint8_t *choice) {
    const Layout layout = input_layout(g);
    const int64_t channels = g.conv.out_channels, padded = rounded_up(channels, LANES);
    Array<bfloat16> packed(packed_numbers(layout, channels));
    Array<float> biases(padded);
    if (packed.data == nullptr || biases.data == nullptr) return NEOCOG_NO_MEMORY;
    pack_weights(layout, channels, weight, packed.data);
    for (int64_t i = 0; i < padded; i++) biases.data[i] = bias != nullptr && i < channels ? bias[i] : 0.0f;

    const Outputs outputs{g.out_rows, g.out_columns,    channels,         g.rows, g.columns,
                          g.shift,    g.conv.pool != 0, g.conv.relu != 0, y,      choice};
    const Convolution convolution(layout, packed.data, biases.data, outputs);
    const int64_t fair = larger(g.conv.images / (4 * larger(threads->count, 1)), 1);
    const int64_t images = Geometry::smaller(images_together(layout), fair);
    const Forward job{g, convolution, x, images};
    return in_parallel(threads, (g.conv.images + images - 1) / images, job) ? NEOCOG_OK : NEOCOG_NO_MEMORY;
}

struct Backward {
    const Geometry &g;
    const Layout &input;
    const WeightGradient &gradient;
    const Convolution *back;  // NULL where the input's gradient is not wanted
    const bfloat16 *x;
    const uint8_t *choice;
    const bfloat16 *dy;
    float *sums, *biases;  // one set for each part
    int64_t parts;

    struct Memory {
        TileUse tiles;
        Operand operand;
        Planes planes;
        Array<bfloat16> columns, spread, pairs;
        Operand gradients;
        Array<float> staging;

        explicit Memory(const Backward &job)
            : operand(job.input, job.by_planes() ? 0 : 1),
              planes(job.input, job.by_planes()),
              columns(job.gradient.columns()),
              spread(job.spread_numbers()),
              pairs(job.gradient.images * job.gradient.pairs()),
              gradients(job.back == nullptr ? job.input : job.back->layout,
                        job.back == nullptr ? 0 : job.gradient.images),
              staging(job.back == nullptr ? 0 : job.back->staging()) {
            if (!ready()) return;
            Operand::clear(columns.data, job.gradient.columns());
            Operand::clear(spread.data, job.spread_numbers());
            Operand::clear(pairs.data, job.gradient.images * job.gradient.pairs());
        }
        bool ready() const {
            return operand.ready() && planes.ready() && columns.data != nullptr && spread.data != nullptr &&
                   pairs.data != nullptr && gradients.ready() && staging.data != nullptr;
        }
    };

    void part(int64_t number, Memory &memory) const {
        const int64_t begin = number * g.conv.images / parts, end = (number + 1) * g.conv.images / parts;
        float *own = sums + number * gradient.sums(), *bias = biases + number * g.conv.out_channels;
        memset(own, 0, static_cast<size_t>(gradient.sums()) * sizeof(float));
        memset(bias, 0, static_cast<size_t>(g.conv.out_channels) * sizeof(float));
        for (int64_t image = begin; image < end; image += gradient.images)
            some_images(image, Geometry::smaller(gradient.images, end - image), memory, own, bias);
    }

    // Whether the columns of the input's patches are cut from its channels one by one, which is faster for few of them.
    bool by_planes() const { return input.channels <= 3; }
    int64_t spread_numbers() const { return g.conv.pool ? 0 : gradient.spread(); }

   private:
    void some_images(int64_t image, int64_t images, Memory &memory, float *own, float *bias) const {
        for (int64_t i = 0; i < images; i++) {
            set_columns(x + (image + i) * g.input_numbers(), memory, memory.columns.data + i * input.reach());
            const Taken taken(g, choice, dy, image + i);
            taken.add_to(bias);
            set_pairs(taken, memory, memory.pairs.data + i * gradient.pairs());
            if (back == nullptr) continue;
            taken.spread(memory.gradients.pixels(i), back->layout.width, back->layout.depth());
            memory.gradients.complete(i);
        }
        gradient.add_to(own, memory.columns.data, memory.pairs.data, images);
        if (back != nullptr) back->apply(memory.gradients, image, images, memory.staging.data);
    }

    void set_columns(const bfloat16 *numbers, const Memory &memory, bfloat16 *columns) const {
        if (by_planes()) {
            memory.planes.set(numbers, image_size(g));
            gradient.cut_columns(memory.planes.planes.data, columns);
        } else {
            memory.operand.set(0, numbers, image_size(g));
            gradient.turn_operand(memory.operand.values(0), columns);
        }
    }

    void set_pairs(const Taken &taken, const Memory &memory, bfloat16 *pairs) const {
        if (g.conv.pool) {
            taken.pair_pooled(pairs, input.stride);
        } else {
            taken.spread(memory.spread.data, input.stride, gradient.depth());
            gradient.pair_spread(memory.spread.data, pairs);
        }
    }
};

// The parts' sums added in the order of the parts, and written as the weights are laid out.
struct Total {
    const Geometry &g;
    const WeightGradient &gradient;
    const float *sums;
    int64_t parts;
    float *dw;

    struct Memory {
        explicit Memory(const Total &) {}
        bool ready() const { return true; }
    };

    // For 16 out channels.
    void part(int64_t tile, Memory &) const {
        const Layout &l = gradient.layout;
        const int64_t size = l.taps * l.taps * l.length;
        const int64_t channels = Geometry::smaller(LANES, g.conv.out_channels - tile * LANES);
        float *to = dw + tile * LANES * size;
        for (int64_t tap = 0, at = tile * TILE_SUMS; tap < l.taps * l.taps; tap++, to += l.length)
            for (int64_t begin = 0; begin < l.length; begin += LANES, at += gradient.column_tiles() * TILE_SUMS) {
                vec rows[16];
                add_parts(at, rows);
                transpose(rows);
                for (int64_t i = 0; i < channels; i++) store(to + i * size + begin, rows[i], first(l.length - begin));
            }
    }

    void add_parts(int64_t at, vec rows[16]) const {
        for (int64_t i = 0; i < LANES; i++) {
            const float *from = sums + at + i * LANES;
            rows[i] = zero();
            for (int64_t part = 0; part < parts; part++, from += gradient.sums()) rows[i] = add(rows[i], load(from));
        }
    }
};

// Several parts for each thread, so that none waits long for another; fewer where the sums of a part are large.
int64_t part_count(const Geometry &g, const neocog_threads *threads, int64_t sums) {
    const int64_t count = larger(threads->count, 1);
    return Geometry::smaller(g.conv.images, count == 1 || sums > (1 << 18) ? count : 4 * count);
}

int backward(const Geometry &g, const neocog_threads *threads, const bfloat16 *x, const float *weight,
             const uint8_t *choice, const bfloat16 *dy, bfloat16 *dx, float *dw, float *db) {
    const Layout input = input_layout(g), output = gradient_layout(g);
    const int64_t in_channels = g.conv.in_channels, out_channels = g.conv.out_channels;
    const int64_t padded = rounded_up(in_channels, LANES);
    const int64_t together = bounded(8 * STEP / input.span(), dx == nullptr ? 1 : images_together(output), MOST_IMAGES);
    const WeightGradient gradient{input, out_channels, together};
    const int64_t parts = part_count(g, threads, gradient.sums());
    Array<bfloat16> packed(dx == nullptr ? 0 : packed_numbers(output, in_channels));
    Array<float> sums(parts * gradient.sums()), biases(parts * out_channels), zeros(padded);
    if (packed.data == nullptr || sums.data == nullptr || biases.data == nullptr || zeros.data == nullptr)
        return NEOCOG_NO_MEMORY;
    if (dx != nullptr) pack_turned_weights(output, in_channels, weight, packed.data);
    memset(zeros.data, 0, static_cast<size_t>(padded) * sizeof(float));

    const Outputs outputs{g.conv.height, g.conv.width, in_channels, g.conv.height, g.conv.width, 0,
                          false,         false,        dx,          nullptr};
    const Convolution back(output, packed.data, zeros.data, outputs);
    const Convolution *wanted = dx == nullptr ? nullptr : &back;
    const Backward job{g, input, gradient, wanted, x, choice, dy, sums.data, biases.data, parts};
    if (!in_parallel(threads, parts, job)) return NEOCOG_NO_MEMORY;

    const Total total{g, gradient, sums.data, parts, dw};
    const neocog_threads alone = {nullptr, 1};
    const bool small = parts * gradient.sums() < (1 << 18);
    if (!in_parallel(small ? &alone : threads, gradient.column_tiles(), total)) return NEOCOG_NO_MEMORY;
    for (int64_t out = 0; db != nullptr && out < out_channels; out++) {
        db[out] = 0.0f;
        for (int64_t part = 0; part < parts; part++) db[out] += biases.data[part * out_channels + out];
    }
    return NEOCOG_OK;
}

}  // namespace

#if defined(NEOCOG_EMULATE_AMX)
extern "C" {
NEOCOG_DECLARE(amx_emulated, uint16_t)
}
#define neocog_forward_amx neocog_forward_amx_emulated
#define neocog_backward_amx neocog_backward_amx_emulated
#endif

extern "C" {

int neocog_forward_amx(const neocog_conv *conv, const neocog_threads *threads, const uint16_t *x, const float *weight,
                       const float *bias, uint16_t *y, uint8_t *choice) {
    const Geometry g(*conv);
    if (!g.sound()) return NEOCOG_BAD_SHAPE;
    return forward(g, threads, x, weight, bias, y, choice);
}

int neocog_backward_amx(const neocog_conv *conv, const neocog_threads *threads, const uint16_t *x, const float *weight,
                        const uint8_t *choice, const uint16_t *dy, uint16_t *dx, float *dw, float *db) {
    const Geometry g(*conv);
    const bool chosen = conv->pool || conv->relu;
    if (!g.sound() || (chosen && g.conv.images > 0 && choice == nullptr)) return NEOCOG_BAD_SHAPE;
    return backward(g, threads, x, weight, chosen ? choice : nullptr, dy, dx, dw, db);
}

}  // extern "C"
