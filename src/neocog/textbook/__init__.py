"""Each operation of a CNN written out as its definition, in NumPy and float64.

Every operation is a function; beside it stands `…_backward`, which takes the gradient by the output and the same
arguments and gives the gradients by `x` and the weights. Images are (N, C, height, width), signals (N, C, length).
Nothing is fast here; it is what the fast code of other places is measured against.
"""

from neocog.textbook.activations import (
    relu,
    relu_backward,
    scaled_tanh,
    scaled_tanh_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from neocog.textbook.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_evaluation,
    batch_norm_evaluation_backward,
    running_statistics,
)
from neocog.textbook.convolution import convolve1d, convolve1d_backward, convolve2d, convolve2d_backward
from neocog.textbook.correlation import correlate1d, correlate1d_backward, correlate2d, correlate2d_backward
from neocog.textbook.dropout import dropout, dropout_backward, dropout_mask
from neocog.textbook.initial import glorot_uniform
from neocog.textbook.linear import flatten, flatten_backward, linear, linear_backward
from neocog.textbook.loss import cross_entropy, cross_entropy_backward, one_hot
from neocog.textbook.optimizers import Moments, adam_step, sgd_step
from neocog.textbook.pooling import (
    average_pool1d,
    average_pool1d_backward,
    average_pool2d,
    average_pool2d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from neocog.textbook.step import Step
from neocog.textbook.steps import convolution_steps, correlation_steps, pool_steps, taking_part

__all__ = [
    "Moments",
    "Step",
    "adam_step",
    "average_pool1d",
    "average_pool1d_backward",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_evaluation",
    "batch_norm_evaluation_backward",
    "convolution_steps",
    "convolve1d",
    "convolve1d_backward",
    "convolve2d",
    "convolve2d_backward",
    "correlate1d",
    "correlate1d_backward",
    "correlate2d",
    "correlate2d_backward",
    "correlation_steps",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "flatten",
    "flatten_backward",
    "glorot_uniform",
    "linear",
    "linear_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "one_hot",
    "pool_steps",
    "relu",
    "relu_backward",
    "running_statistics",
    "scaled_tanh",
    "scaled_tanh_backward",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "taking_part",
    "tanh",
    "tanh_backward",
]
