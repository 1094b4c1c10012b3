"""Fully connected layers and radial basis functions, on units of shape (units, n).

In training, matrix products are left to BLAS; what is done to each element before and
after them is one pass over their rows::

    z = W x                     BLAS
    z + b                       `add_bias`, in place
    y = f(z + b)                `activation.activate`, in place

    dz = dy * f'(y)             `activation.multiply_by_slope`, in place
    db                          `add_up_rows`
    dW = dz x^T, dx = W^T dz    BLAS

BLAS may add up the products of an image in an order that depends on how many images there
are. Predictions use `multiply`, in which each image is by itself.
"""

import numpy as np

from sklenet.network.kernels.activation import add_up
from sklenet.network.kernels.compiler import EXACT, kernel


@kernel("void(f4[:, ::1], f4[::1])", EXACT)
def add_bias(z, bias):
    """Add a value to each row."""
    for u in range(len(z)):
        row, b = z[u], bias[u]
        for t in range(len(row)):
            row[t] += b


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1])", EXACT)
def multiply(weight, x, out):
    """Compute out[u, t] = sum over k of weight[u, k] x[k, t], for each t in the same order.

    Two rows of the result are computed from four rows of x at a time.
    """
    n_units, n_inputs = weight.shape
    out[:] = 0
    for u in range(0, n_units, 2):
        u2 = min(u + 1, n_units - 1)
        a, b = out[u], out[u2]
        whole = n_inputs - n_inputs % 4
        for k in range(0, whole, 4):
            a0, a1, a2, a3 = (
                weight[u, k],
                weight[u, k + 1],
                weight[u, k + 2],
                weight[u, k + 3],
            )
            b0, b1, b2, b3 = (
                weight[u2, k],
                weight[u2, k + 1],
                weight[u2, k + 2],
                weight[u2, k + 3],
            )
            x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
            for t in range(len(a)):
                sum_a = a[t] + a0 * x0[t]
                sum_b = b[t] + b0 * x0[t]
                sum_a += a1 * x1[t]
                sum_b += b1 * x1[t]
                sum_a += a2 * x2[t]
                sum_b += b2 * x2[t]
                sum_a += a3 * x3[t]
                sum_b += b3 * x3[t]
                a[t] = sum_a
                b[t] = sum_b
        for k in range(whole, n_inputs):
            a0, b0, x0 = weight[u, k], weight[u2, k], x[k]
            for t in range(len(a)):
                sum_b = b[t] + b0 * x0[t]
                a[t] = a[t] + a0 * x0[t]
                b[t] = sum_b


@kernel("void(f4[:, ::1], f4[::1])", EXACT)
def add_up_rows(grad, grad_bias):
    """Compute the sum of each row, which is the gradient with respect to a bias."""
    for u in range(len(grad)):
        grad_bias[u] = add_up(grad[u])


@kernel(
    [
        "void(f4[:, ::1], f4[:, ::1], f4[:, ::1])",
        "void(f4[:, ::1], f8[:, ::1], f8[:, ::1])",
    ],
    EXACT,
)
def measure_distances(x, codes, out):
    """Compute out[i, t] = -sum over j of (x[j, t] - codes[i, j])^2.

    Parameters
    ----------
    x : array of shape (units, n)
    codes : array of shape (classes, units)
    out : array of shape (classes, n)
        Is overwritten.
    """
    out[:] = 0
    for i in range(len(codes)):
        for j in range(len(x)):
            code = codes[i, j]
            for t in range(x.shape[1]):
                difference = x[j, t] - code
                out[i, t] -= difference * difference


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])", EXACT)
def pull_distances_back(grad, x, codes, grad_x):
    """Compute grad_x[j, t] = -2 sum over i of grad[i, t] (x[j, t] - codes[i, j])."""
    minus_2 = np.float32(-2)
    grad_x[:] = 0
    for j in range(len(x)):
        for i in range(len(codes)):
            code = codes[i, j]
            for t in range(x.shape[1]):
                twice = minus_2 * grad[i, t]
                grad_x[j, t] += twice * (x[j, t] - code)
