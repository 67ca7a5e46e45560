// Runs the fused blocks on random shapes against loops that spell out the definition.
//
// Every array lies in a piece of the heap that ends where the array ends, so that a sanitizer sees a read or write
// beyond it. All numbers are small and whole: a convolution in float32 is exact on them in any order, and the results
// must be equal. Arguments: how many shapes for each level.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "blocks.h"

extern "C" {
NEOCOG_DECLARE(amx_emulated, uint16_t)
}

namespace {

std::mt19937 random_numbers(1);

int64_t between(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_numbers);
}

// What GOMP_parallel does, with threads that a sanitizer can follow.
void parallel(void (*work)(void *), void *data, unsigned count, unsigned) {
    std::vector<std::thread> others;
    for (unsigned i = 1; i < count; i++) others.emplace_back(work, data);
    work(data);
    for (std::thread &other : others) other.join();
}

// Numbers at the end of a piece of the heap that begins `shift` numbers before them: aligned in all ways in turn.
template <class T>
class Buffer {
   public:
    explicit Buffer(int64_t count, int64_t shift = between(0, 3))
        : count(count), shift(shift), piece(static_cast<T *>(malloc(sizeof(T) * (count + shift)))) {
        memset(piece.get(), 0x77, sizeof(T) * (count + shift));
    }
    T *data() const { return piece.get() + shift; }
    T &operator[](int64_t place) const { return piece.get()[shift + place]; }
    const int64_t count;

   private:
    struct Free {
        void operator()(T *p) const { free(p); }
    };
    const int64_t shift;
    const std::unique_ptr<T, Free> piece;
};

// Small whole numbers are the same in float32 and, cut to its upper half, in bfloat16.
void put(float &to, int64_t value) { to = static_cast<float>(value); }
void put(uint16_t &to, int64_t value) {
    const float exact = static_cast<float>(value);
    uint32_t bits;
    memcpy(&bits, &exact, 4);
    to = static_cast<uint16_t>(bits >> 16);
}

template <class T>
std::vector<int64_t> fill(const Buffer<T> &buffer, int64_t most) {
    std::vector<int64_t> values(buffer.count);
    for (int64_t i = 0; i < buffer.count; i++) put(buffer[i], values[i] = between(-most, most));
    return values;
}

struct Shape {
    neocog_conv conv;
    int64_t rows, columns, out_rows, out_columns;

    int64_t images_at(int64_t n, int64_t y, int64_t x, int64_t c) const {
        return ((n * conv.height + y) * conv.width + x) * conv.in_channels + c;
    }
    int64_t weight_at(int64_t o, int64_t i, int64_t j, int64_t c) const {
        return ((o * conv.kernel + i) * conv.kernel + j) * conv.in_channels + c;
    }
    int64_t output_at(int64_t n, int64_t y, int64_t x, int64_t o) const {
        return ((n * out_rows + y) * out_columns + x) * conv.out_channels + o;
    }
};

Shape random_shape() {
    for (;;) {
        Shape s;
        neocog_conv &c = s.conv;
        const int64_t channels[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40};
        c.images = between(0, 4);
        c.height = between(1, 13);
        c.width = between(1, 13);
        c.in_channels = channels[between(0, 12)];
        c.out_channels = channels[between(0, 12)];
        c.kernel = between(0, 1) ? 3 : 5;
        c.padding = static_cast<int32_t>(between(0, c.kernel - 1));
        c.pool = static_cast<int32_t>(between(0, 1));
        c.pool_padding = c.pool ? static_cast<int32_t>(between(0, 1)) : 0;
        c.relu = static_cast<int32_t>(between(0, 1));
        s.rows = s.out_rows = c.height + 2 * c.padding - c.kernel + 1;
        s.columns = s.out_columns = c.width + 2 * c.padding - c.kernel + 1;
        if (s.rows < 1 || s.columns < 1) continue;
        if (c.pool) {
            s.out_rows = (s.rows + 2 * c.pool_padding) / 2;
            s.out_columns = (s.columns + 2 * c.pool_padding) / 2;
        }
        if (s.out_rows > 0 && s.out_columns > 0) return s;
    }
}

// The definition, on whole numbers.
struct Results {
    std::vector<int64_t> y, choice, dx, dw, db;
};

int64_t convolved(const Shape &s, const std::vector<int64_t> &x, const std::vector<int64_t> &w, int64_t start,
                  int64_t n, int64_t row, int64_t column, int64_t o) {
    int64_t sum = start;
    for (int64_t i = 0; i < s.conv.kernel; i++)
        for (int64_t j = 0; j < s.conv.kernel; j++) {
            const int64_t y = row + i - s.conv.padding, z = column + j - s.conv.padding;
            if (y < 0 || y >= s.conv.height || z < 0 || z >= s.conv.width) continue;
            for (int64_t c = 0; c < s.conv.in_channels; c++)
                sum += x[s.images_at(n, y, z, c)] * w[s.weight_at(o, i, j, c)];
        }
    return sum;
}

void add_gradients(const Shape &s, const std::vector<int64_t> &x, const std::vector<int64_t> &w, int64_t gradient,
                   int64_t n, int64_t row, int64_t column, int64_t o, Results &r) {
    r.db[o] += gradient;
    for (int64_t i = 0; i < s.conv.kernel; i++)
        for (int64_t j = 0; j < s.conv.kernel; j++) {
            const int64_t y = row + i - s.conv.padding, z = column + j - s.conv.padding;
            if (y < 0 || y >= s.conv.height || z < 0 || z >= s.conv.width) continue;
            for (int64_t c = 0; c < s.conv.in_channels; c++) {
                r.dx[s.images_at(n, y, z, c)] += gradient * w[s.weight_at(o, i, j, c)];
                r.dw[s.weight_at(o, i, j, c)] += gradient * x[s.images_at(n, y, z, c)];
            }
        }
}

Results by_definition(const Shape &s, const std::vector<int64_t> &x, const std::vector<int64_t> &w,
                      const std::vector<int64_t> &b, const std::vector<int64_t> &dy) {
    Results r{std::vector<int64_t>(dy.size()), std::vector<int64_t>(dy.size()), std::vector<int64_t>(x.size()),
              std::vector<int64_t>(w.size()), std::vector<int64_t>(s.conv.out_channels)};
    for (int64_t n = 0; n < s.conv.images; n++)
        for (int64_t row = 0; row < s.out_rows; row++)
            for (int64_t column = 0; column < s.out_columns; column++)
                for (int64_t o = 0; o < s.conv.out_channels; o++) {
                    const int64_t place = s.output_at(n, row, column, o), start = b.empty() ? 0 : b[o];
                    int64_t best = INT64_MIN, choice = 0, at_row = row, at_column = column;
                    for (int64_t k = 0; k < (s.conv.pool ? 4 : 1); k++) {
                        const int64_t y = s.conv.pool ? 2 * row + k / 2 - s.conv.pool_padding : row;
                        const int64_t z = s.conv.pool ? 2 * column + k % 2 - s.conv.pool_padding : column;
                        if (y < 0 || y >= s.rows || z < 0 || z >= s.columns) continue;
                        const int64_t value = convolved(s, x, w, start, n, y, z, o);
                        if (value > best) best = value, choice = k, at_row = y, at_column = z;
                    }
                    if (s.conv.relu && best <= 0) best = 0, choice = 4;
                    r.y[place] = best;
                    r.choice[place] = choice;
                    if (choice != 4) add_gradients(s, x, w, dy[place], n, at_row, at_column, o, r);
                }
    return r;
}

template <class T>
bool same(const char *what, const Buffer<T> &found, const std::vector<int64_t> &expected) {
    for (int64_t i = 0; i < found.count; i++) {
        T value;
        put(value, expected[i]);
        if (found[i] != value) {
            printf("%s[%lld]: expected %lld\n", what, static_cast<long long>(i), static_cast<long long>(expected[i]));
            return false;
        }
    }
    return true;
}

bool same(const char *what, const Buffer<uint8_t> &found, const std::vector<int64_t> &expected) {
    for (int64_t i = 0; i < found.count; i++)
        if (found[i] != expected[i]) return printf("%s[%lld] is wrong\n", what, static_cast<long long>(i)), false;
    return true;
}

template <class T>
using Forward = int (*)(const neocog_conv *, const neocog_threads *, const T *, const float *, const float *, T *,
                        uint8_t *);
template <class T>
using Backward = int (*)(const neocog_conv *, const neocog_threads *, const T *, const float *, const uint8_t *,
                         const T *, T *, float *, float *);

// Sums of products of numbers up to `most` stay exact.
template <class T>
bool one_shape(Forward<T> forward, Backward<T> backward, const Shape &s, int64_t most) {
    const neocog_conv &c = s.conv;
    const bool with_bias = between(0, 1), with_dx = between(0, 3), with_choice = c.pool || c.relu;
    const neocog_threads threads = {between(0, 1) ? parallel : nullptr, static_cast<int32_t>(between(1, 3))};
    const int64_t outputs = c.images * s.out_rows * s.out_columns * c.out_channels;
    const Buffer<T> x(c.images * c.height * c.width * c.in_channels), y(outputs), dy(outputs), dx(x.count);
    const Buffer<float> w(c.out_channels * c.kernel * c.kernel * c.in_channels), dw(w.count);
    const Buffer<float> b(c.out_channels), db(c.out_channels);
    const Buffer<uint8_t> choice(outputs);
    const std::vector<int64_t> xs = fill(x, most), ws = fill(w, most), bs = fill(b, most), dys = fill(dy, most);
    const Results r = by_definition(s, xs, ws, with_bias ? bs : std::vector<int64_t>(), dys);

    const int status = forward(&c, &threads, x.data(), w.data(), with_bias ? b.data() : nullptr, y.data(),
                               with_choice ? choice.data() : nullptr);
    if (status != NEOCOG_OK) return printf("forward: status %d\n", status), false;
    if (!same("y", y, r.y) || (with_choice && !same("choice", choice, r.choice))) return false;
    // Without the choices, as in prediction.
    forward(&c, &threads, x.data(), w.data(), with_bias ? b.data() : nullptr, y.data(), nullptr);
    if (!same("y alone", y, r.y)) return false;
    const int again = backward(&c, &threads, x.data(), w.data(), with_choice ? choice.data() : nullptr, dy.data(),
                               with_dx ? dx.data() : nullptr, dw.data(), with_bias ? db.data() : nullptr);
    if (again != NEOCOG_OK) return printf("backward: status %d\n", again), false;
    return (!with_dx || same("dx", dx, r.dx)) && same("dw", dw, r.dw) && (!with_bias || same("db", db, r.db));
}

template <class T>
bool level(const char *name, Forward<T> forward, Backward<T> backward, int64_t shapes, int64_t most) {
    for (int64_t i = 0; i < shapes; i++) {
        const Shape s = random_shape();
        if (!one_shape(forward, backward, s, most)) {
            const neocog_conv &c = s.conv;
            printf(
                "%s: wrong for %lld images of %lldx%lldx%lld, %lld outputs, kernel %d, padding %d, pool %d, "
                "pool padding %d, relu %d\n",
                name, static_cast<long long>(c.images), static_cast<long long>(c.in_channels),
                static_cast<long long>(c.height), static_cast<long long>(c.width),
                static_cast<long long>(c.out_channels), c.kernel, c.padding, c.pool, c.pool_padding, c.relu);
            return false;
        }
    }
    printf("%s: %lld shapes are right\n", name, static_cast<long long>(shapes));
    return true;
}

bool near(const char *what, const Buffer<float> &found, const std::vector<double> &expected) {
    double most = 1;
    for (double value : expected) most = fmax(most, fabs(value));
    for (int64_t i = 0; i < found.count; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-4 * most))
            return printf("%s[%lld]: expected %g, got %g\n", what, static_cast<long long>(i), expected[i], found[i]),
                   false;
    return true;
}

using NormForward = decltype(&neocog_norm_forward_avx2);
using NormBackward = decltype(&neocog_norm_backward_avx2);

// Batch norm by its definition, in double precision.
bool one_norm(NormForward forward, NormBackward backward) {
    const neocog_norm norm = {between(2, 300), between(1, 70), 1e-5, static_cast<int32_t>(between(0, 1))};
    const neocog_threads threads = {between(0, 1) ? parallel : nullptr, static_cast<int32_t>(between(1, 3))};
    const int64_t pixels = norm.pixels, channels = norm.channels;
    const Buffer<float> x(pixels * channels), y(x.count), dy(x.count), dx(x.count), gamma(channels), beta(channels),
        mean(channels), variance(channels), dgamma(channels), dbeta(channels);
    const std::vector<int64_t> xs = fill(x, 3), dys = fill(dy, 3), gammas = fill(gamma, 3);
    fill(beta, 3);
    // Never at the corner of relu, where rounding decides: x is whole, and this is not.
    for (int64_t c = 0; c < channels; c++) beta[c] += 0.4142f;

    std::vector<double> ys(x.count), dxs(x.count), means(channels), variances(channels), dgammas(channels),
        dbetas(channels), normed(x.count), live(x.count);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = c; i < x.count; i += channels) means[c] += static_cast<double>(xs[i]) / pixels;
        for (int64_t i = c; i < x.count; i += channels) variances[c] += pow(xs[i] - means[c], 2) / pixels;
        const double scale = 1 / sqrt(variances[c] + norm.epsilon);
        for (int64_t i = c; i < x.count; i += channels) {
            normed[i] = (xs[i] - means[c]) * scale;
            ys[i] = normed[i] * gammas[c] + beta[c];
            if (norm.relu && ys[i] <= 0) ys[i] = 0;
            live[i] = norm.relu && ys[i] <= 0 ? 0 : dys[i];
            dbetas[c] += live[i];
            dgammas[c] += live[i] * normed[i];
        }
        for (int64_t i = c; i < x.count; i += channels)
            dxs[i] = gammas[c] * scale * (live[i] - (dbetas[c] + normed[i] * dgammas[c]) / pixels);
    }
    if (forward(&norm, &threads, x.data(), gamma.data(), beta.data(), y.data(), mean.data(), variance.data()) ||
        !near("y", y, ys) || !near("mean", mean, means) || !near("variance", variance, variances))
        return false;
    return !backward(&norm, &threads, x.data(), gamma.data(), beta.data(), mean.data(), variance.data(), dy.data(),
                     dx.data(), dgamma.data(), dbeta.data()) &&
           near("dx", dx, dxs) && near("dgamma", dgamma, dgammas) && near("dbeta", dbeta, dbetas);
}

bool norms(const char *name, NormForward forward, NormBackward backward, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!one_norm(forward, backward)) return printf("%s: batch norm is wrong\n", name), false;
    printf("%s: %lld batch norms are right\n", name, static_cast<long long>(count));
    return true;
}

}  // namespace

int main(int count, char **arguments) {
    const int64_t shapes = count > 1 ? atoll(arguments[1]) : 300;
    const int processor = neocog_processor();
    bool right = true;
    if (processor & 1) right &= level<float>("avx2", neocog_forward_avx2, neocog_backward_avx2, shapes, 3);
    if (processor & 2) right &= level<float>("avx512", neocog_forward_avx512, neocog_backward_avx512, shapes, 3);
    if (processor & 1) right &= norms("avx2", neocog_norm_forward_avx2, neocog_norm_backward_avx2, shapes);
    if (processor & 2) right &= norms("avx512", neocog_norm_forward_avx512, neocog_norm_backward_avx512, shapes);
    // The sums of -1, 0 and 1 are so small that bfloat16 holds them as well.
    if (processor & 2)
        right &= level<uint16_t>("amx, emulated", neocog_forward_amx_emulated, neocog_backward_amx_emulated, shapes, 1);
    return right ? 0 : 1;
}
