// The C functions of the fused blocks: convolution, bias, relu and 2x2 max pooling in one pass, and its gradients.
//
// Plain functions on plain pointers, so that they are loaded through ctypes and need no match with PyTorch's ABI.
// Nothing here keeps state between calls: every call allocates what it needs and gives it back.
#ifndef NEOCOG_BLOCKS_H
#define NEOCOG_BLOCKS_H

#include <stdint.h>

#define NEOCOG_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

// A convolution of stride 1 with a square kernel, what follows it, and the batch that it is applied to.
typedef struct {
    int64_t images;         // N; may be 0
    int64_t height, width;  // of an input image
    int64_t in_channels, out_channels;
    int32_t kernel;        // 3 or 5
    int32_t padding;       // zeros on each side, 0 to kernel - 1
    int32_t pool;          // 1: max pooling 2x2, stride 2, follows
    int32_t pool_padding;  // of the pooling, 0 or 1
    int32_t relu;          // 1: relu follows (before or after the pooling, which is the same)
} neocog_conv;

// Batch norm of pixels, with relu after it.
typedef struct {
    int64_t pixels;  // N * H * W, at least 1
    int64_t channels;
    double epsilon;
    int32_t relu;
} neocog_norm;

// How to run on several threads: `parallel` is GOMP_parallel of the OpenMP runtime that PyTorch uses, or NULL for one
// thread; `count` is the number of threads.
typedef struct {
    void (*parallel)(void (*work)(void *), void *data, unsigned count, unsigned flags);
    int32_t count;
} neocog_threads;

enum { NEOCOG_OK = 0, NEOCOG_NO_MEMORY = 1, NEOCOG_BAD_SHAPE = 2 };

// Arrays, dense and in this order of dimensions:
//   x, dx    (images, height, width, in_channels)
//   weight   (out_channels, kernel, kernel, in_channels), dw likewise
//   bias, db (out_channels), NULL where there is none
//   y, dy    (images, output height, output width, out_channels), after the pooling
//   choice   bytes of the shape of y: which of the four pooled values was taken (0 to 3, row by row), 4 where relu gave
//            0; NULL where there is neither pooling nor relu, or no gradient is wanted
// dx may be NULL where it is not wanted. Gradients are written, not added. The result is one of the values above.
#define NEOCOG_DECLARE(level, number)                                                                                \
    NEOCOG_API int neocog_forward_##level(const neocog_conv *conv, const neocog_threads *threads, const number *x,   \
                                          const float *weight, const float *bias, number *y, uint8_t *choice);       \
    NEOCOG_API int neocog_backward_##level(const neocog_conv *conv, const neocog_threads *threads, const number *x,  \
                                           const float *weight, const uint8_t *choice, const number *dy, number *dx, \
                                           float *dw, float *db);

// Batch norm in training, by the statistics of the batch (Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1):
//   x, y, dy, dx             (pixels, channels)
//   gamma, beta, dgamma, dbeta  (channels)
//   mean, variance           (channels), written by the forward pass; the variance is divided by `pixels`
#define NEOCOG_DECLARE_NORM(level)                                                                                     \
    NEOCOG_API int neocog_norm_forward_##level(const neocog_norm *norm, const neocog_threads *threads, const float *x, \
                                               const float *gamma, const float *beta, float *y, float *mean,           \
                                               float *variance);                                                       \
    NEOCOG_API int neocog_norm_backward_##level(                                                                       \
        const neocog_norm *norm, const neocog_threads *threads, const float *x, const float *gamma, const float *beta, \
        const float *mean, const float *variance, const float *dy, float *dx, float *dgamma, float *dbeta);

NEOCOG_DECLARE_NORM(avx512)
NEOCOG_DECLARE_NORM(avx2)
NEOCOG_DECLARE(avx512, float)
NEOCOG_DECLARE(avx2, float)
NEOCOG_DECLARE(amx, uint16_t)  // x, y, dy, dx in bfloat16; weights and their gradients in float32

// Which levels this processor and operating system can run: bit 0 AVX2 with FMA, bit 1 AVX-512 (F, BW, DQ, VL),
// bit 2 AMX with bfloat16 (asks the operating system for the permission that AMX needs).
NEOCOG_API int neocog_processor(void);

#ifdef __cplusplus
}
#endif
#endif
