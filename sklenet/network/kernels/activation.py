"""Activation functions and their derivatives, in place.

An activation is given as its index in `KINDS`. The exponential function and the hyperbolic
tangent are written in terms of sums and products, which the compiler turns into vector
instructions; they differ from the exact values by at most 3e-7 of these.
"""

import math

import numpy as np

from sklenet.network.kernels.compiler import EXACT, SUMS, kernel

KINDS = ("identity", "relu", "leaky_relu", "elu", "tanh", "sigmoid", "scaled_tanh")
IDENTITY, RELU, LEAKY_RELU, ELU, TANH, SIGMOID, SCALED_TANH = range(len(KINDS))

# LeCun et al. 1998: f(a) = A tanh(S a)
A, S = np.float32(1.7159), np.float32(2 / 3)
LEAK = np.float32(0.01)

_0, _1, _2, _HALF = (np.float32(value) for value in (0, 1, 2, 0.5))

# exp(r) for |r| <= log(2) / 2, and log(2) as a sum, from the Cephes library.
_E = tuple(
    np.float32(value)
    for value in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_LOG2_E = np.float32(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOWEST, _HIGHEST = np.float32(-87), np.float32(88)

# tanh(x) = x p(x^2) / q(x^2) for |x| <= 7.9, beyond which it is 1: from the Eigen library.
_P = tuple(
    np.float32(value)
    for value in (
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    )
)
_Q = tuple(
    np.float32(value)
    for value in (
        1.19825839466702e-06,
        1.18534705686654e-04,
        2.26843463243900e-03,
        4.89352518554385e-03,
    )
)
_SATURATED = np.float32(7.90531110763549805)


@kernel("f4(f4)", EXACT)
def exp(x):
    """Return e^x = 2^k e^r, with a whole k, for x between -87 and 88."""
    x = _LOWEST if x < _LOWEST else x
    x = _HIGHEST if x > _HIGHEST else x
    k = np.float32(math.floor(x * _LOG2_E + _HALF))
    r = x - k * _LN2_HIGH
    r = r - k * _LN2_LOW
    p = _E[0]
    p = p * r + _E[1]
    p = p * r + _E[2]
    p = p * r + _E[3]
    p = p * r + _E[4]
    p = p * r + _E[5]
    p = p * (r * r) + r
    exponent = (np.int32(k) + np.int32(127)) << np.int32(23)  # the bits of 2^k
    return (p + _1) * np.int32(exponent).view(np.float32)


@kernel("f4(f4)", EXACT)
def tanh(x):
    """Return the hyperbolic tangent."""
    x = -_SATURATED if x < -_SATURATED else x
    x = _SATURATED if x > _SATURATED else x
    s = x * x
    p = _P[0]
    p = p * s + _P[1]
    p = p * s + _P[2]
    p = p * s + _P[3]
    p = p * s + _P[4]
    p = p * s + _P[5]
    p = p * s + _P[6]
    q = _Q[0]
    q = q * s + _Q[1]
    q = q * s + _Q[2]
    q = q * s + _Q[3]
    return x * p / q


@kernel("void(i8, f4[::1])", EXACT)
def activate(kind, x):
    """Replace each element of `x` by the activation of it. NaN remains NaN."""
    if kind == RELU:
        for t in range(len(x)):
            x[t] = _0 if x[t] < _0 else x[t]
    elif kind == LEAKY_RELU:
        for t in range(len(x)):
            x[t] = LEAK * x[t] if x[t] < _0 else x[t]
    elif kind == ELU:
        # e^x - 1 = 2 h / (1 - h) with h = tanh(x / 2): exact where x is small, too.
        for t in range(len(x)):
            h = tanh(_HALF * (_0 if x[t] > _0 else x[t]))
            below = _2 * h / (_1 - h)
            x[t] = x[t] if x[t] > _0 else below
    elif kind == TANH:
        for t in range(len(x)):
            x[t] = tanh(x[t])
    elif kind == SIGMOID:
        for t in range(len(x)):
            x[t] = _1 / (_1 + exp(-x[t]))
    elif kind == SCALED_TANH:
        for t in range(len(x)):
            x[t] = A * tanh(S * x[t])


@kernel("void(i8, f4[::1], f4[::1])", EXACT)
def multiply_by_slope(kind, grad, y):
    """Multiply each element of `grad` by the derivative of the activation of value `y`."""
    if kind == RELU:
        for t in range(len(grad)):
            grad[t] = grad[t] if y[t] > _0 else _0
    elif kind == LEAKY_RELU:
        for t in range(len(grad)):
            grad[t] = grad[t] if y[t] > _0 else LEAK * grad[t]
    elif kind == ELU:
        for t in range(len(grad)):
            grad[t] = grad[t] if y[t] > _0 else grad[t] * (y[t] + _1)
    elif kind == TANH:
        for t in range(len(grad)):
            grad[t] = grad[t] * (_1 - y[t] * y[t])
    elif kind == SIGMOID:
        for t in range(len(grad)):
            grad[t] = grad[t] * (y[t] * (_1 - y[t]))
    elif kind == SCALED_TANH:
        for t in range(len(grad)):
            grad[t] = grad[t] * (S * A - (S / A) * (y[t] * y[t]))


@kernel("f4(f4[::1])", SUMS)
def add_up(x):
    """Return the sum of a row."""
    total = _0
    for t in range(len(x)):
        total += x[t]
    return total
