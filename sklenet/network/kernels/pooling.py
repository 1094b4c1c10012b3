"""Stages: a convolution, its activation, and pooling over squares of 2x2 units.

For each pooled row, two rows of the convolution of two maps are computed, and are pooled at
once, while they are in the cache. With n images::

    row 2 i      | a0 a0 a0 | b0 b0 b0 | a1 a1 a1 | b1 b1 b1 | ...     each n values
    row 2 i + 1  | c0 c0 c0 | d0 d0 d0 | c1 c1 c1 | d1 d1 d1 | ...
                       |                     |
    pooled row i | p0 p0 p0            | p1 p1 p1            | ...

Most activations never decrease. The largest of four units is therefore found before the
activation, which is then computed of one unit instead of four, and which of the four it was
is kept: 0, 1, 2 or 3 for a, b, c and d. For an activation that first decreases and then
increases, one of the largest and the smallest unit has the largest value. Other poolings
are sums of four activated units, which are kept, times a coefficient, plus a shift, and
activated again::

                     coefficient        shift          second activation
    average          1/4                0              none
    subsampling      trained, per map   trained        that of the network

If the derivative of an activation is a function of its argument, the argument is kept, too,
or instead; it is called `source` below, and otherwise is the value of the activation.

A last row or column of the convolution that is in no square is not computed.
"""

import numpy as np

from sklenet.network.kernels.activation import (
    activate,
    add_up,
    copy_row,
    multiply_by_slope,
    needs_argument,
)
from sklenet.network.kernels.compiler import EXACT, SUMS, kernel
from sklenet.network.kernels.convolution import correlate_rows, multiply_rows


@kernel("void(f4[::1], f4[::1], i8, f4[::1], i1[::1])", EXACT)
def take_largest(upper, lower, n, pooled, corner):
    """Pool two rows by their maximum.

    As in torch, the first of equal units wins, and the result of squares with NaN is NaN:
    nothing is greater than that.
    """
    for j in range(len(pooled) // n):
        left, right = 2 * j * n, (2 * j + 1) * n
        a, b = upper[left : left + n], upper[right : right + n]
        c, d = lower[left : left + n], lower[right : right + n]
        out, index = pooled[j * n : (j + 1) * n], corner[j * n : (j + 1) * n]
        for t in range(n):
            best, k = a[t], np.int8(0)
            is_new = (b[t] > best) | (b[t] != b[t])
            best, k = b[t] if is_new else best, np.int8(1) if is_new else k
            is_new = (c[t] > best) | (c[t] != c[t])
            best, k = c[t] if is_new else best, np.int8(2) if is_new else k
            is_new = (d[t] > best) | (d[t] != d[t])
            best, k = d[t] if is_new else best, np.int8(3) if is_new else k
            out[t] = best
            index[t] = k


@kernel("void(f4[::1], f4[::1], i8, i8, f4[::1], f4[::1], i1[::1])", EXACT)
def activate_and_take_largest(upper, lower, n, kind, pooled, source, corner):
    """Activate two rows by a function that first decreases, and pool by the maximum.

    Parameters
    ----------
    upper, lower : arrays of shape (2 * width * n,)
        Are changed.
    n, kind : int
    pooled, source, corner : arrays of shape (width * n,)
        The largest values, their arguments, and which of four units these came from.
    """
    take_largest(upper, lower, n, source, corner)
    lowest, corner_low = np.empty_like(source), np.empty_like(corner)
    for t in range(len(upper)):
        upper[t] = -upper[t]
        lower[t] = -lower[t]
    take_largest(upper, lower, n, lowest, corner_low)
    value = upper[: len(pooled)]
    for t in range(len(pooled)):
        lowest[t] = -lowest[t]
        value[t] = lowest[t]
        pooled[t] = source[t]
    activate(kind, pooled)
    activate(kind, value)
    for t in range(len(pooled)):
        is_lower = value[t] > pooled[t]
        source[t] = lowest[t] if is_lower else source[t]
        corner[t] = corner_low[t] if is_lower else corner[t]
        pooled[t] = value[t] if is_lower else pooled[t]


@kernel("void(f4[::1], f4[::1], i8, f4[::1])", EXACT)
def add_squares(upper, lower, n, pooled):
    """Pool two rows by their sums."""
    for j in range(len(pooled) // n):
        left, right = 2 * j * n, (2 * j + 1) * n
        a, b = upper[left : left + n], upper[right : right + n]
        c, d = lower[left : left + n], lower[right : right + n]
        out = pooled[j * n : (j + 1) * n]
        for t in range(n):
            out[t] = (a[t] + b[t]) + (c[t] + d[t])


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], f4[::1], i8,"
    " f4[:, :, ::1], f4[:, :, ::1], i1[:, :, ::1])",
    EXACT,
)
def convolve_and_take_largest(x, kernels, table, bias, n, rows, y, corner):
    """Compute a convolution with maximum pooling, to be activated by a function that never
    decreases.

    Parameters
    ----------
    x : array of shape (inputs, height, width * n)
    kernels : array of shape (n_kernels, k, k)
    table : array of shape (maps, inputs)
        The kernels' indices, or -1.
    bias : array of shape (maps,)
    n : int
        The number of images.
    rows : array of shape (2, 2, 2 * pooled_width * n)
        Working memory: two rows of two maps.
    y, corner : arrays of shape (maps, pooled_height, pooled_width * n)
        The result, and which of four units each value came from.
    """
    n_maps = len(table)
    for m in range(0, n_maps, 2):
        has_two = m + 1 < n_maps
        for i in range(y.shape[1]):
            rows[0] = bias[m]
            rows[1] = bias[m + 1] if has_two else 0
            correlate_rows(x, kernels, table, m, 2 * i, n, rows, 0, 1, 0, 2)
            for k in range(2 if has_two else 1):
                take_largest(rows[k, 0], rows[k, 1], n, y[m + k, i], corner[m + k, i])


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], f4[::1], i8, i8,"
    " f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i1[:, :, ::1])",
    EXACT,
)
def convolve_activate_and_take_largest(
    x, kernels, table, bias, n, kind, rows, y, source, corner
):
    """Compute a stage with maximum pooling of an activation that first decreases.

    Parameters
    ----------
    x, kernels, table, bias, n, rows
        As in `convolve_and_take_largest`.
    kind : int
        The activation.
    y, source, corner : arrays of shape (maps, pooled_height, pooled_width * n)
        The result, the arguments of the activation, and which of four units each value
        came from.
    """
    n_maps = len(table)
    for m in range(0, n_maps, 2):
        has_two = m + 1 < n_maps
        for i in range(y.shape[1]):
            rows[0] = bias[m]
            rows[1] = bias[m + 1] if has_two else 0
            correlate_rows(x, kernels, table, m, 2 * i, n, rows, 0, 1, 0, 2)
            for k in range(2 if has_two else 1):
                activate_and_take_largest(
                    rows[k, 0],
                    rows[k, 1],
                    n,
                    kind,
                    y[m + k, i],
                    source[m + k, i],
                    corner[m + k, i],
                )


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], f4[::1], i8, i8,"
    " f4[::1], f4[::1], i8, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1],"
    " f4[:, :, ::1])",
    EXACT,
)
def convolve_and_add_squares(
    x,
    kernels,
    table,
    bias,
    n,
    kind,
    coefficient,
    shift,
    second_kind,
    units,
    total,
    y,
    source,
):
    """Compute a stage whose pooling adds up.

    Parameters
    ----------
    x, kernels, table, bias, n, kind
        As in `convolve_and_take_largest`.
    coefficient, shift : arrays of shape (maps,)
    second_kind : int
        The activation after the pooling.
    units : array of shape (maps, 2 * pooled_height, 2 * pooled_width * n)
        The activated units of the convolution, or those before the activation if it
        `needs_argument`.
    total, y, source : arrays of shape (maps, pooled_height, pooled_width * n)
        The sums of squares, the result, and the arguments of the second activation if it
        `needs_argument`.
    """
    n_maps = len(table)
    for m in range(0, n_maps, 2):
        other = min(m + 1, n_maps - 1)
        units[m] = bias[m]
        units[other] = bias[other]
        for i in range(0, units.shape[1], 2):
            correlate_rows(x, kernels, table, m, i, n, units, m, other, i, 2)
            for row in range(i, i + 2):
                if needs_argument(kind):
                    break
                activate(kind, units[m, row])
                if other > m:
                    activate(kind, units[other, row])
    pair = np.empty((2, units.shape[2] if needs_argument(kind) else 0), np.float32)
    for m in range(n_maps):
        factor, summand = coefficient[m], shift[m]
        for i in range(y.shape[1]):
            sums, out = total[m, i], y[m, i]
            if needs_argument(kind):
                for r in range(2):
                    copy_row(units[m, 2 * i + r], pair[r])
                    activate(kind, pair[r])
                add_squares(pair[0], pair[1], n, sums)
            else:
                add_squares(units[m, 2 * i], units[m, 2 * i + 1], n, sums)
            for t in range(len(out)):
                out[t] = sums[t] * factor + summand
            if needs_argument(second_kind):
                copy_row(out, source[m, i])
            activate(second_kind, out)


@kernel("f4(f4[::1], i1[::1], i8, f4[::1], f4[::1])", EXACT)
def spread_largest(grad, corner, n, upper, lower):
    """Compute the gradient of two rows of the convolution from that of a pooled row.

    Parameters
    ----------
    grad : array of shape (width * n,)
        Gradient with respect to the pooled row before the activation.
    corner : array of the same shape
        A row of what `convolve_and_take_largest` computed.
    n : int
    upper, lower : arrays of shape (2 * width * n,)
        The result.

    Returns
    -------
    float
        Sum of the gradient, which is the contribution to that of the bias.
    """
    zero = np.float32(0)
    for j in range(len(grad) // n):
        g, k = grad[j * n : (j + 1) * n], corner[j * n : (j + 1) * n]
        left, right = 2 * j * n, (2 * j + 1) * n
        a, b = upper[left : left + n], upper[right : right + n]
        c, d = lower[left : left + n], lower[right : right + n]
        for t in range(n):
            a[t] = g[t] if k[t] == 0 else zero
            b[t] = g[t] if k[t] == 1 else zero
            c[t] = g[t] if k[t] == 2 else zero
            d[t] = g[t] if k[t] == 3 else zero
    return add_up(grad)


@kernel(
    "void(f4[:, :, ::1], i1[:, :, ::1], i8, i8, f4[:, :, ::1], f4[::1])",
    EXACT,
)
def unpool_largest(grad, corner, n, border, grad_units, grad_bias):
    """Compute the gradient of a stage with respect to the sums of its convolution.

    Parameters
    ----------
    grad : array of shape (maps, pooled_height, pooled_width * n)
        With respect to the pooled sums before the activation.
    corner
        As `convolve_and_take_largest` left it.
    n : int
    border : int
        The number of columns to the left and to the right of `grad_units` that are kept
        as they are.
    grad_units : array (maps, 2 * pooled_height, (2 * pooled_width + 2 * border) * n)
        The result.
    grad_bias : array of shape (maps,)
        The gradient with respect to the biases.
    """
    inside = slice(border * n, border * n + 2 * grad.shape[2])
    for m in range(len(grad)):
        grad_bias[m] = 0
        for i in range(grad.shape[1]):
            grad_bias[m] += spread_largest(
                grad[m, i],
                corner[m, i],
                n,
                grad_units[m, 2 * i, inside],
                grad_units[m, 2 * i + 1, inside],
            )


@kernel(
    "void(f4[:, :, ::1], i1[:, :, ::1], i8, f4[:, :, ::1],"
    " i8[:, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[::1])",
    EXACT,
)
def correlate_weights_largest(grad, corner, n, x, table, pairs, grad_kernels, grad_bias):
    """Compute the gradients of the weights of a stage with maximum pooling.

    It is `unpool_largest` and `correlate_weights` in one, for a first stage: the gradient
    with respect to the sums of the convolution, the largest array of a backward pass, is
    used two rows of two maps at a time, and is not kept.

    Parameters
    ----------
    grad, corner, n, grad_bias
        As in `unpool_largest`.
    x, table
        As in `convolve_and_take_largest`; all maps are connected.
    pairs : array of shape (2, 2, 2 * pooled_width * n)
        Working memory.
    grad_kernels : array of shape (n_kernels, k, k)
        The result.
    """
    n_maps, length = len(grad), pairs.shape[2]
    grad_kernels[:] = 0
    grad_bias[:] = 0
    for m in range(0, n_maps, 2):
        m2 = min(m + 1, n_maps - 1)
        for i in range(grad.shape[1]):
            for k in range(1 + m2 - m):
                grad_bias[m + k] += spread_largest(
                    grad[m + k, i],
                    corner[m + k, i],
                    n,
                    pairs[k, 0],
                    pairs[k, 1],
                )
            for c in range(len(x)):
                u, v = table[m, c], table[m2, c]
                multiply_rows(
                    pairs, 0, m2 - m, 0, length, x, c, 2 * i, 0, n, grad_kernels, u, v
                )


@kernel("f4(f4[::1], f4[::1])", SUMS)
def multiply_and_add_up(a, b):
    """Return the dot product of two rows."""
    total = np.float32(0)
    for t in range(len(a)):
        total += a[t] * b[t]
    return total


@kernel("f4(f4[::1], i8, f4, i8, f4[::1], f4[::1])", EXACT)
def spread_squares(grad, n, factor, kind, units, row):
    """Compute the gradient of a row of the convolution from that of a row of sums.

    Parameters
    ----------
    grad : array of shape (width * n,)
        Gradient with respect to the pooled sums after coefficient and shift.
    n : int
    factor : float
        The coefficient.
    kind : int
        The activation before the pooling.
    units : array of shape (2 * width * n,)
        The activated units, or those before the activation if it `needs_argument`.
    row : array of shape (2 * width * n,)
        The result.

    Returns
    -------
    float
        Sum of the gradient, which is the contribution to that of the bias.
    """
    for j in range(len(grad) // n):
        g = grad[j * n : (j + 1) * n]
        a, b = row[2 * j * n : (2 * j + 1) * n], row[(2 * j + 1) * n : (2 * j + 2) * n]
        for t in range(n):
            a[t] = g[t] * factor
            b[t] = g[t] * factor
    multiply_by_slope(kind, row, units)
    return add_up(row)


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8, i8, f4[::1],"
    " i8, i8, f4[:, :, ::1], f4[::1], f4[::1], f4[::1])",
    EXACT,
)
def unpool_squares(
    grad,
    source,
    total,
    units,
    n,
    kind,
    coefficient,
    second_kind,
    border,
    grad_units,
    grad_bias,
    grad_coefficient,
    grad_shift,
):
    """Compute the gradient of a stage whose pooling adds up.

    Parameters
    ----------
    grad : array of shape (maps, pooled_height, pooled_width * n)
        With respect to the result; is overwritten.
    n, border, grad_units, grad_bias
        As in `unpool_largest`.
    source, total, units, kind, coefficient, second_kind
        As in `convolve_and_add_squares`.
    grad_coefficient, grad_shift : arrays of shape (maps,)
        The gradients with respect to `coefficient` and `shift`.
    """
    inside = slice(border * n, border * n + units.shape[2])
    for m in range(len(grad)):
        grad_bias[m] = grad_coefficient[m] = grad_shift[m] = 0
        for i in range(grad.shape[1]):
            g = grad[m, i]
            multiply_by_slope(second_kind, g, source[m, i])
            grad_coefficient[m] += multiply_and_add_up(g, total[m, i])
            grad_shift[m] += add_up(g)
            for r in range(2 * i, 2 * i + 2):
                row = grad_units[m, r, inside]
                grad_bias[m] += spread_squares(g, n, coefficient[m], kind, units[m, r], row)


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], i8, i8, f4[::1],"
    " i8, f4[:, :, ::1], i8[:, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[::1], f4[::1],"
    " f4[::1])",
    EXACT,
)
def correlate_weights_squares(
    grad,
    source,
    total,
    units,
    n,
    kind,
    coefficient,
    second_kind,
    x,
    table,
    pairs,
    grad_kernels,
    grad_bias,
    grad_coefficient,
    grad_shift,
):
    """Compute the gradients of the weights of a stage whose pooling adds up.

    It is to `unpool_squares` what `correlate_weights_largest` is to `unpool_largest`.
    """
    n_maps, length = len(grad), pairs.shape[2]
    grad_kernels[:] = 0
    grad_bias[:] = 0
    grad_coefficient[:] = 0
    grad_shift[:] = 0
    for m in range(0, n_maps, 2):
        m2 = min(m + 1, n_maps - 1)
        for i in range(grad.shape[1]):
            for k in range(1 + m2 - m):
                g = grad[m + k, i]
                multiply_by_slope(second_kind, g, source[m + k, i])
                grad_coefficient[m + k] += multiply_and_add_up(g, total[m + k, i])
                grad_shift[m + k] += add_up(g)
                for r in range(2):
                    grad_bias[m + k] += spread_squares(
                        g,
                        n,
                        coefficient[m + k],
                        kind,
                        units[m + k, 2 * i + r],
                        pairs[k, r],
                    )
            for c in range(len(x)):
                u, v = table[m, c], table[m2, c]
                multiply_rows(
                    pairs, 0, m2 - m, 0, length, x, c, 2 * i, 0, n, grad_kernels, u, v
                )
