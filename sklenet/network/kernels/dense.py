"""Fully connected layers and radial basis functions, on units of shape (units, n).

A matrix product is left to BLAS; what is done to each element before and after it is one
pass over its rows::

    z = W x                     BLAS
    y = f(z + b)                `add_bias_and_activate`, row by row, in place

    dz = dy * f'(y)             `take_slope`, row by row, in place; db is the sums of the rows
    dW = dz x^T, dx = W^T dz    BLAS
"""

import numpy as np

from sklenet.network.kernels.activation import activate, add_up, multiply_by_slope
from sklenet.network.kernels.compiler import EXACT, kernel


@kernel("void(i8, f4[:, ::1], f4[::1])", EXACT)
def add_bias_and_activate(kind, z, bias):
    """Replace z by f(z + b), b being one value per row."""
    for u in range(len(z)):
        row, b = z[u], bias[u]
        for t in range(len(row)):
            row[t] += b
        activate(kind, row)


@kernel("void(i8, f4[:, ::1], f4[:, ::1], f4[::1])", EXACT)
def take_slope(kind, grad, y, grad_bias):
    """Replace the gradient with respect to y = f(z + b) by that with respect to z.

    `grad_bias` receives the gradient with respect to b, the sums of the rows.
    """
    for u in range(len(grad)):
        multiply_by_slope(kind, grad[u], y[u])
        grad_bias[u] = add_up(grad[u])


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1])", EXACT)
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
