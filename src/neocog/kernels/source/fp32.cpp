// The float32 blocks, compiled once for each level: NEOCOG_LEVEL is avx512 or avx2.
#include "blocks.h"
#include "gradients.h"
#include "gradients_dense.h"
#include "gradients_first.h"
#include "norm.h"

#define NEOCOG_JOIN_(a, b) a##b
#define NEOCOG_JOIN(a, b) NEOCOG_JOIN_(a, b)

extern "C" {

int NEOCOG_JOIN(neocog_forward_, NEOCOG_LEVEL)(const neocog_conv *conv, const neocog_threads *threads, const float *x,
                                               const float *weight, const float *bias, float *y, uint8_t *choice) {
    const Geometry g(*conv);
    if (!g.sound()) return NEOCOG_BAD_SHAPE;
    return forward(g, threads, x, weight, bias, y, choice);
}

int NEOCOG_JOIN(neocog_backward_, NEOCOG_LEVEL)(const neocog_conv *conv, const neocog_threads *threads, const float *x,
                                                const float *weight, const uint8_t *choice, const float *dy, float *dx,
                                                float *dw, float *db) {
    const Geometry g(*conv);
    if (!g.sound()) return NEOCOG_BAD_SHAPE;
    if (dx == nullptr && conv->in_channels == 1 && conv->kernel == 3)
        return first_gradients<3, 1>(g, threads, x, choice, dy, dw, db);
#if defined(__AVX512F__)
    // The sums of so many taps lie in registers only where there are 32 of them.
    if (dx == nullptr && conv->in_channels == 1 && conv->kernel == 5 && conv->out_channels > LANES / 2)
        return first_gradients<5, 1>(g, threads, x, choice, dy, dw, db);
    if (dx == nullptr && conv->in_channels == 3 && conv->kernel == 3)
        return first_gradients<3, 3>(g, threads, x, choice, dy, dw, db);
#endif
    if (!conv->pool && conv->in_channels >= LANES / 2)
        return gradients_dense(g, threads, x, weight, choice, dy, dx, dw, db);
    return gradients(g, threads, x, weight, choice, dy, dx, dw, db);
}

int NEOCOG_JOIN(neocog_norm_forward_, NEOCOG_LEVEL)(const neocog_norm *norm, const neocog_threads *threads,
                                                    const float *x, const float *gamma, const float *beta, float *y,
                                                    float *mean, float *variance) {
    if (norm->pixels < 1 || norm->channels < 1) return NEOCOG_BAD_SHAPE;
    return norm_forward(*norm, threads, x, gamma, beta, y, mean, variance);
}

int NEOCOG_JOIN(neocog_norm_backward_, NEOCOG_LEVEL)(const neocog_norm *norm, const neocog_threads *threads,
                                                     const float *x, const float *gamma, const float *beta,
                                                     const float *mean, const float *variance, const float *dy,
                                                     float *dx, float *dgamma, float *dbeta) {
    if (norm->pixels < 1 || norm->channels < 1) return NEOCOG_BAD_SHAPE;
    return norm_backward(*norm, threads, x, gamma, beta, mean, variance, dy, dx, dgamma, dbeta);
}

}  // extern "C"
