"""Activation functions and their derivatives, in place.

An activation is given as its index in `KINDS`. The elementary functions that activations
consist of are written in terms of sums and products, which the compiler turns into vector
instructions; their relative errors are at most 3e-7.

The derivative of most activations is a function of their value, so that a layer keeps only
that. GELU, SiLU and Mish first decrease and then increase, and have the same value at two
places: their derivative is a function of their argument, see `needs_argument`.

The kernels of three groups of activations can be used by themselves, see `select_kernels`,
so that a network with a simple activation does not wait for the others to be compiled.
"""

import math

import numpy as np

from sklenet.network.kernels.compiler import EXACT, SUMS, Kernel, kernel

KINDS = (
    "identity",
    "relu",
    "leaky_relu",
    "hardtanh",
    "elu",
    "selu",
    "softplus",
    "tanh",
    "sigmoid",
    "scaled_tanh",
    "gelu",
    "silu",
    "mish",
)
(
    IDENTITY,
    RELU,
    LEAKY_RELU,
    HARDTANH,
    ELU,
    SELU,
    SOFTPLUS,
    TANH,
    SIGMOID,
    SCALED_TANH,
    GELU,
    SILU,
    MISH,
) = range(len(KINDS))

# LeCun et al. 1998: f(a) = A tanh(S a)
A, S = np.float32(1.7159), np.float32(2 / 3)
LEAK = np.float32(0.01)
# Klambauer et al. 2017: lambda, and lambda times alpha
SELU_SCALE = np.float32(1.0507009873554804934193349852946)
SELU_LIMIT = np.float32(
    1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
)

_0, _1, _2, _4, _HALF = (np.float32(value) for value in (0, 1, 2, 4, 0.5))

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

# log(1 + u) = 2 artanh(z) with z = u / (2 + u): the series of artanh for z <= 1/3.
_LOG = tuple(np.float32(2 / k) for k in (15, 13, 11, 9, 7, 5, 3, 1))

# erf(x) = x p(x^2) / q(x^2) for |x| <= 4, beyond which it is 1: from the Eigen library.
_ERF_P = tuple(
    np.float32(value)
    for value in (
        -2.72614225801306e-10,
        2.77068142495902e-08,
        -2.10102402082508e-06,
        -5.69250639462346e-05,
        -7.34990630326855e-04,
        -2.95459980854025e-03,
        -1.60960333262415e-02,
    )
)
_ERF_Q = tuple(
    np.float32(value)
    for value in (
        -1.45660718464996e-05,
        -2.13374055278905e-04,
        -1.68282697438203e-03,
        -7.37332916720468e-03,
        -1.42647390514189e-02,
    )
)
_SQRT_HALF, _DENSITY = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))
# Mish equals its argument, to within rounding, above this.
_LARGE = np.float32(20)


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


@kernel("f4(f4)", EXACT)
def exp_minus_1(x):
    """Return e^x - 1 = 2 h / (1 - h) with h = tanh(x / 2), exact for small x, too."""
    h = tanh(_HALF * x)
    return _2 * h / (_1 - h)


@kernel("f4(f4)", EXACT)
def softplus(x):
    """Return log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    u = exp(-abs(x))
    z = u / (_2 + u)
    s = z * z
    p = _LOG[0]
    p = p * s + _LOG[1]
    p = p * s + _LOG[2]
    p = p * s + _LOG[3]
    p = p * s + _LOG[4]
    p = p * s + _LOG[5]
    p = p * s + _LOG[6]
    p = p * s + _LOG[7]
    return (_0 if x < _0 else x) + p * z


@kernel("f4(f4)", EXACT)
def normal_probability(x):
    """Return the probability that a standard normal variable is at most x."""
    x = x * _SQRT_HALF
    x = -_4 if x < -_4 else x
    x = _4 if x > _4 else x
    s = x * x
    p = _ERF_P[0]
    p = p * s + _ERF_P[1]
    p = p * s + _ERF_P[2]
    p = p * s + _ERF_P[3]
    p = p * s + _ERF_P[4]
    p = p * s + _ERF_P[5]
    p = p * s + _ERF_P[6]
    q = _ERF_Q[0]
    q = q * s + _ERF_Q[1]
    q = q * s + _ERF_Q[2]
    q = q * s + _ERF_Q[3]
    q = q * s + _ERF_Q[4]
    return _HALF * (_1 + x * p / q)


@kernel("b1(i8)", EXACT)
def needs_argument(kind):
    """Return whether the derivative is a function of the activation's argument.

    Such an activation decreases up to its minimum and increases from there on.
    """
    return kind > SCALED_TANH


@kernel("f4(f4)", EXACT)
def elu(x):
    """Return x where it is positive, and e^x - 1 elsewhere."""
    below = exp_minus_1(_0 if x > _0 else x)
    return x if x > _0 else below


@kernel("f4(f4)", EXACT)
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return _1 / (_1 + exp(-x))


@kernel("void(i8, f4[::1])", EXACT)
def activate_piecewise(kind, x):
    """Apply an activation that is linear in pieces."""
    if kind == RELU:
        for t in range(len(x)):
            x[t] = _0 if x[t] < _0 else x[t]
    elif kind == LEAKY_RELU:
        for t in range(len(x)):
            x[t] = LEAK * x[t] if x[t] < _0 else x[t]
    elif kind == HARDTANH:
        for t in range(len(x)):
            below = _1 if x[t] > _1 else x[t]
            x[t] = -_1 if below < -_1 else below


@kernel("void(i8, f4[::1])", EXACT)
def activate_increasing(kind, x):
    """Apply an activation that increases everywhere."""
    if kind == ELU:
        for t in range(len(x)):
            x[t] = elu(x[t])
    elif kind == SELU:
        for t in range(len(x)):
            below = SELU_LIMIT * elu(_0 if x[t] > _0 else x[t])
            x[t] = SELU_SCALE * x[t] if x[t] > _0 else below
    elif kind == SOFTPLUS:
        for t in range(len(x)):
            x[t] = softplus(x[t])
    elif kind == TANH:
        for t in range(len(x)):
            x[t] = tanh(x[t])
    elif kind == SIGMOID:
        for t in range(len(x)):
            x[t] = sigmoid(x[t])
    else:
        for t in range(len(x)):
            x[t] = A * tanh(S * x[t])


@kernel("void(i8, f4[::1])", EXACT)
def activate_with_minimum(kind, x):
    """Apply an activation that decreases to its minimum, and then increases."""
    if kind == GELU:
        for t in range(len(x)):
            x[t] = x[t] * normal_probability(x[t])
    elif kind == SILU:
        for t in range(len(x)):
            x[t] = x[t] / (_1 + exp(-x[t]))
    else:
        # tanh(log(1 + e)) = k / (k + 2) with k = e (e + 2)
        for t in range(len(x)):
            e = exp(_LARGE if x[t] > _LARGE else x[t])
            k = e * (e + _2)
            x[t] = x[t] * (k / (k + _2))


@kernel("void(i8, f4[::1])", EXACT)
def activate(kind, x):
    """Replace each element of `x` by the activation of it. NaN remains NaN."""
    if kind <= HARDTANH:
        activate_piecewise(kind, x)
    elif kind <= SCALED_TANH:
        activate_increasing(kind, x)
    else:
        activate_with_minimum(kind, x)


@kernel("void(i8, f4[::1], f4[::1])", EXACT)
def multiply_by_slope_piecewise(kind, grad, y):
    """Multiply `grad` by the derivative of an activation that is linear in pieces."""
    if kind == RELU:
        for t in range(len(grad)):
            grad[t] = grad[t] if y[t] > _0 else _0
    elif kind == LEAKY_RELU:
        for t in range(len(grad)):
            grad[t] = grad[t] if y[t] > _0 else LEAK * grad[t]
    elif kind == HARDTANH:
        for t in range(len(grad)):
            grad[t] = grad[t] if abs(y[t]) < _1 else _0


@kernel("void(i8, f4[::1], f4[::1])", EXACT)
def multiply_by_slope_increasing(kind, grad, y):
    """Multiply `grad` by the derivative of an activation that increases everywhere."""
    if kind == ELU:
        for t in range(len(grad)):
            grad[t] = grad[t] * (_1 if y[t] > _0 else y[t] + _1)
    elif kind == SELU:
        for t in range(len(grad)):
            grad[t] = grad[t] * (SELU_SCALE if y[t] > _0 else y[t] + SELU_LIMIT)
    elif kind == SOFTPLUS:
        # 1 / (1 + e^-x) = 1 - e^-y
        for t in range(len(grad)):
            grad[t] = grad[t] * -exp_minus_1(-y[t])
    elif kind == TANH:
        for t in range(len(grad)):
            grad[t] = grad[t] * (_1 - y[t] * y[t])
    elif kind == SIGMOID:
        for t in range(len(grad)):
            grad[t] = grad[t] * (y[t] * (_1 - y[t]))
    else:
        for t in range(len(grad)):
            grad[t] = grad[t] * (S * A - (S / A) * (y[t] * y[t]))


@kernel("void(i8, f4[::1], f4[::1])", EXACT)
def multiply_by_slope_with_minimum(kind, grad, x):
    """Multiply `grad` by the derivative, at `x`, of an activation with a minimum."""
    if kind == GELU:
        for t in range(len(grad)):
            density = _DENSITY * exp(-_HALF * (x[t] * x[t]))
            grad[t] = grad[t] * (normal_probability(x[t]) + x[t] * density)
    elif kind == SILU:
        for t in range(len(grad)):
            s = sigmoid(x[t])
            grad[t] = grad[t] * (s * (_1 + x[t] * (_1 - s)))
    else:
        for t in range(len(grad)):
            e = exp(_LARGE if x[t] > _LARGE else x[t])
            k = e * (e + _2)
            r = _1 / (k + _2)
            slope = k * r + x[t] * (_4 * (k + _1) * (r * r)) * (e / (_1 + e))
            grad[t] = grad[t] * (_1 if x[t] > _LARGE else slope)


@kernel("void(i8, f4[::1], f4[::1])", EXACT)
def multiply_by_slope(kind, grad, source):
    """Multiply each element of `grad` by the derivative of the activation.

    Parameters
    ----------
    kind : int
    grad : array of shape (n,)
        Is changed.
    source : array of shape (n,)
        The values of the activation, or its arguments if it `needs_argument`.
    """
    if kind <= HARDTANH:
        multiply_by_slope_piecewise(kind, grad, source)
    elif kind <= SCALED_TANH:
        multiply_by_slope_increasing(kind, grad, source)
    else:
        multiply_by_slope_with_minimum(kind, grad, source)


def select_kernels(kind: int) -> tuple[Kernel, Kernel]:
    """Return what `activate` and `multiply_by_slope` call for an activation."""
    if kind <= HARDTANH:
        return activate_piecewise, multiply_by_slope_piecewise
    if kind <= SCALED_TANH:
        return activate_increasing, multiply_by_slope_increasing
    return activate_with_minimum, multiply_by_slope_with_minimum


# numba takes about a second to compile an assignment between arrays, but not this loop.
@kernel("void(f4[::1], f4[::1])", EXACT)
def copy_row(x, out):
    """Copy a row to another one."""
    for t in range(len(x)):
        out[t] = x[t]


@kernel("f4(f4[::1])", SUMS)
def add_up(x):
    """Return the sum of a row."""
    total = _0
    for t in range(len(x)):
        total += x[t]
    return total
