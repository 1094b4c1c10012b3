"""Convolutions whose rows are one-dimensional: the images of a batch are the last axis.

The maps of n images are an array of shape (maps, height, width * n). A row of a map is one
stretch of contiguous memory, with the n values of a pixel side by side. With n = 4::

    pixel    0 0 0 0  1 1 1 1  2 2 2 2  3 3 3 3  ...
    image    0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3

The pixel that is j columns to the right of position t is at t + j * n, for every image. A
row of a kernel thus adds a few shifted and weighted copies of an input row to an output
row::

    x    |-----------------------------------|
    out  |---------------------------|          += w[0] * x[t]
             |---------------------------|      += w[1] * x[t + n]
                 |---------------------------|  += w[2] * x[t + 2 * n]

The compiler turns these loops over t into vector instructions. Rows of five and of three
weights have loops of their own; other lengths are made up of these and of single weights.
Two output maps share each pass over the input.

Kernels have the shape (n_kernels, k, k). A table of shape (outputs, inputs) holds the index
of the kernel that connects two maps, or -1; maps that are not connected cost nothing.
"""

import numpy as np

from sklenet.network.kernels.compiler import EXACT, SUMS, kernel

_ADD = (
    "void(f4[:, :, ::1], i8, i8, i8, i8, f4[:, :, ::1], i8, i8, i8,"
    " f4[:, :, ::1], i8, i8, i8)"
)


@kernel(_ADD, EXACT)
def add_five(out, m, m2, row, n_rows, x, c, first, left, kernels, a, b, n):
    """Add five columns of two kernels to a few rows of two maps.

    out[m, row + r, t] += sum over i, j of
        kernels[a, i, left + j] * x[c, first + r + i, t + (left + j) * n]

    for r < n_rows and j < 5, and the same for `m2` and `b`. Rows of `x` that do not exist
    count as zeros. Each statement has one product and one sum, so that no compilation can
    round them in another way. Slices are made here, since handing one to a function takes
    as long as a hundred products.
    """
    length = min(out.shape[2], x.shape[2] - (kernels.shape[2] - 1) * n)
    for r in range(n_rows):
        top = first + r
        out_a, out_b = out[m, row + r, :length], out[m2, row + r, :length]
        for i in range(max(0, -top), min(kernels.shape[1], x.shape[1] - top)):
            a0, a1, a2 = (
                kernels[a, i, left],
                kernels[a, i, left + 1],
                kernels[a, i, left + 2],
            )
            a3, a4 = kernels[a, i, left + 3], kernels[a, i, left + 4]
            b0, b1, b2 = (
                kernels[b, i, left],
                kernels[b, i, left + 1],
                kernels[b, i, left + 2],
            )
            b3, b4 = kernels[b, i, left + 3], kernels[b, i, left + 4]
            x0 = x[c, top + i, left * n :]
            x1, x2, x3, x4 = x0[n:], x0[2 * n :], x0[3 * n :], x0[4 * n :]
            for t in range(length):
                sum_a = out_a[t] + a0 * x0[t]
                sum_b = out_b[t] + b0 * x0[t]
                sum_a += a1 * x1[t]
                sum_b += b1 * x1[t]
                sum_a += a2 * x2[t]
                sum_b += b2 * x2[t]
                sum_a += a3 * x3[t]
                sum_b += b3 * x3[t]
                sum_a += a4 * x4[t]
                sum_b += b4 * x4[t]
                out_a[t] = sum_a
                out_b[t] = sum_b


@kernel(_ADD, EXACT)
def add_three(out, m, m2, row, n_rows, x, c, first, left, kernels, a, b, n):
    """Add three columns of two kernels to a few rows of two maps."""
    length = min(out.shape[2], x.shape[2] - (kernels.shape[2] - 1) * n)
    for r in range(n_rows):
        top = first + r
        out_a, out_b = out[m, row + r, :length], out[m2, row + r, :length]
        for i in range(max(0, -top), min(kernels.shape[1], x.shape[1] - top)):
            a0, a1, a2 = (
                kernels[a, i, left],
                kernels[a, i, left + 1],
                kernels[a, i, left + 2],
            )
            b0, b1, b2 = (
                kernels[b, i, left],
                kernels[b, i, left + 1],
                kernels[b, i, left + 2],
            )
            x0 = x[c, top + i, left * n :]
            x1, x2 = x0[n:], x0[2 * n :]
            for t in range(length):
                sum_a = out_a[t] + a0 * x0[t]
                sum_b = out_b[t] + b0 * x0[t]
                sum_a += a1 * x1[t]
                sum_b += b1 * x1[t]
                sum_a += a2 * x2[t]
                sum_b += b2 * x2[t]
                out_a[t] = sum_a
                out_b[t] = sum_b


_ADD_TO_ONE = (
    "void(f4[:, :, ::1], i8, i8, i8, f4[:, :, ::1], i8, i8, i8, f4[:, :, ::1], i8, i8)"
)


@kernel(_ADD_TO_ONE, EXACT)
def add_five_to_one(out, m, row, n_rows, x, c, first, left, kernels, a, n):
    """Add five columns of a kernel to a few rows of one map."""
    length = min(out.shape[2], x.shape[2] - (kernels.shape[2] - 1) * n)
    for r in range(n_rows):
        top = first + r
        out_a = out[m, row + r, :length]
        for i in range(max(0, -top), min(kernels.shape[1], x.shape[1] - top)):
            a0, a1, a2 = (
                kernels[a, i, left],
                kernels[a, i, left + 1],
                kernels[a, i, left + 2],
            )
            a3, a4 = kernels[a, i, left + 3], kernels[a, i, left + 4]
            x0 = x[c, top + i, left * n :]
            x1, x2, x3, x4 = x0[n:], x0[2 * n :], x0[3 * n :], x0[4 * n :]
            for t in range(length):
                total = out_a[t] + a0 * x0[t]
                total += a1 * x1[t]
                total += a2 * x2[t]
                total += a3 * x3[t]
                total += a4 * x4[t]
                out_a[t] = total


@kernel(_ADD_TO_ONE, EXACT)
def add_one_to_one(out, m, row, n_rows, x, c, first, left, kernels, a, n):
    """Add a column of a kernel to a few rows of one map."""
    length = min(out.shape[2], x.shape[2] - (kernels.shape[2] - 1) * n)
    for r in range(n_rows):
        top = first + r
        out_a = out[m, row + r, :length]
        for i in range(max(0, -top), min(kernels.shape[1], x.shape[1] - top)):
            weight, shifted = kernels[a, i, left], x[c, top + i, left * n :]
            for t in range(length):
                out_a[t] += weight * shifted[t]


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], i8, i8, i8,"
    " f4[:, :, ::1], i8, i8, i8, i8)",
    EXACT,
)
def correlate_rows(x, kernels, table, maps, first, n, out, m, m2, row, n_rows):
    """Add a few rows of two output maps to rows of an array.

    out[m, row + r, t] += sum over c, i, j of
        kernels[table[maps, c], i, j] * x[c, first + r + i, t + j * n]

    for r < n_rows, and the same for the next output map, maps + 1, and `m2`. Without that,
    the latter is left as it is. Rows of `x` that do not exist count as zeros.
    """
    k = kernels.shape[2]
    for c in range(x.shape[0]):
        a, b, left = table[maps, c], -1, 0
        if maps + 1 < len(table):
            b = table[maps + 1, c]
        if a >= 0 and b >= 0:
            while k - left >= 5:
                add_five(out, m, m2, row, n_rows, x, c, first, left, kernels, a, b, n)
                left += 5
            while k - left >= 3:
                add_three(out, m, m2, row, n_rows, x, c, first, left, kernels, a, b, n)
                left += 3
        for index, map_ in ((a, m), (b, m2)):
            start = left
            while index >= 0 and k - start >= 5:
                add_five_to_one(
                    out, map_, row, n_rows, x, c, first, start, kernels, index, n
                )
                start += 5
            while index >= 0 and start < k:
                add_one_to_one(
                    out, map_, row, n_rows, x, c, first, start, kernels, index, n
                )
                start += 1


@kernel("void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], i8, f4[:, :, ::1])", EXACT)
def correlate_back(grad, kernels, table, n, grad_x):
    """Compute the gradient with respect to the input of a convolution.

    The gradient of the outputs lies between borders of k - 1 columns of zeros::

        0 0 | g g g g g | 0 0        grad, (outputs, height, (width + 2 (k - 1)) n)
        [w2 w1 w0]                   each input pixel: the kernel, back to front
              [w2 w1 w0]

    so that it is the convolution of that with the kernels turned by 180 degrees, from
    outputs to inputs.

    Parameters
    ----------
    grad : array of shape (outputs, height, (width + 2 * (k - 1)) * n)
    kernels : array of shape (n_kernels, k, k)
        Turned.
    table : array of shape (inputs, outputs)
    n : int
        The number of images.
    grad_x : array of shape (inputs, at least height + k - 1, at least (width + k - 1) * n)
        Is overwritten.
    """
    k = kernels.shape[1]
    height = grad.shape[1] + k - 1
    grad_x[:] = 0
    for m in range(0, len(table), 2):
        m2 = min(m + 1, len(table) - 1)
        for y in range(0, height, 2):
            n_rows = min(2, height - y)
            correlate_rows(grad, kernels, table, m, y - k + 1, n, grad_x, m, m2, y, n_rows)


_MULTIPLY = (
    "void(f4[:, :, ::1], i8, i8, i8, i8, f4[:, :, ::1], i8, i8, i8, i8,"
    " f4[:, :, ::1], i8, i8)"
)


@kernel(_MULTIPLY, SUMS)
def multiply_five(grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b):
    """Add the gradients of five columns of two kernels, from column `left` on.

    out[index_m, i, left + j]
        += sum over y, t of grad[m, y, start + t] * x[c, first + y + i, t + (left + j) * n]

    for m = a, b, all rows i, and j < 5. If both are the same map, it counts once. These are
    dot products of the rows of a map's gradient with shifted input rows::

        grad  |---------------------------|
        x     |---------------------------|              j = 0
                  |---------------------------|          j = 1
                      |---------------------------|      j = 2
    """
    for i in range(out.shape[1]):
        a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = np.float32(0)
        for y in range(grad.shape[1]):
            g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
            x0 = x[c, first + y + i, left * n :]
            x1, x2, x3, x4 = x0[n:], x0[2 * n :], x0[3 * n :], x0[4 * n :]
            for t in range(length):
                a0 += g[t] * x0[t]
                b0 += h[t] * x0[t]
                a1 += g[t] * x1[t]
                b1 += h[t] * x1[t]
                a2 += g[t] * x2[t]
                b2 += h[t] * x2[t]
                a3 += g[t] * x3[t]
                b3 += h[t] * x3[t]
                a4 += g[t] * x4[t]
                b4 += h[t] * x4[t]
        for j, value in enumerate((a0, a1, a2, a3, a4)):
            out[index_a, i, left + j] += value
        if index_b != index_a:
            for j, value in enumerate((b0, b1, b2, b3, b4)):
                out[index_b, i, left + j] += value


@kernel(_MULTIPLY, SUMS)
def multiply_three(grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b):
    """Add the gradients of three columns of two kernels."""
    for i in range(out.shape[1]):
        a0 = a1 = a2 = b0 = b1 = b2 = np.float32(0)
        for y in range(grad.shape[1]):
            g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
            x0 = x[c, first + y + i, left * n :]
            x1, x2 = x0[n:], x0[2 * n :]
            for t in range(length):
                a0 += g[t] * x0[t]
                b0 += h[t] * x0[t]
                a1 += g[t] * x1[t]
                b1 += h[t] * x1[t]
                a2 += g[t] * x2[t]
                b2 += h[t] * x2[t]
        for j, value in enumerate((a0, a1, a2)):
            out[index_a, i, left + j] += value
        if index_b != index_a:
            for j, value in enumerate((b0, b1, b2)):
                out[index_b, i, left + j] += value


@kernel(_MULTIPLY, SUMS)
def multiply_one(grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b):
    """Add the gradients of one column of two kernels."""
    for i in range(out.shape[1]):
        sum_a = sum_b = np.float32(0)
        for y in range(grad.shape[1]):
            g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
            x0 = x[c, first + y + i, left * n :]
            for t in range(length):
                sum_a += g[t] * x0[t]
                sum_b += h[t] * x0[t]
        out[index_a, i, left] += sum_a
        if index_b != index_a:
            out[index_b, i, left] += sum_b


@kernel(_MULTIPLY, SUMS)
def multiply_rows(grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b):
    """Add the gradients of two kernels, from column `left` on."""
    k = out.shape[1]
    while k - left >= 5:
        multiply_five(
            grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b
        )
        left += 5
    while k - left >= 3:
        multiply_three(
            grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b
        )
        left += 3
    while left < k:
        multiply_one(grad, a, b, start, length, x, c, first, left, n, out, index_a, index_b)
        left += 1


@kernel("void(f4[:, :, ::1], i8, i8, f4[:, :, ::1], i8[:, ::1], i8, f4[:, :, ::1])", SUMS)
def correlate_weights(grad, start, length, x, table, n, out):
    """Compute the gradient with respect to all kernels of a convolution.

    For each input map, the output maps that see it are taken in pairs, the last one with
    itself if their number is odd.

    Parameters
    ----------
    grad : array of shape (outputs, height, at least start + length)
        Gradient with respect to the outputs, in `length` columns from `start` on.
    x : array of shape (inputs, at least height + k - 1, at least length + (k - 1) * n)
    table : array of shape (outputs, inputs)
    n : int
        The number of images.
    out : array of shape (n_kernels, k, k)
        Is overwritten.
    """
    n_outputs, n_inputs = table.shape
    out[:] = 0
    for c in range(n_inputs):
        b = -1
        while True:
            a = b + 1
            while a < n_outputs and table[a, c] < 0:
                a += 1
            if a >= n_outputs:
                break
            b = a + 1
            while b < n_outputs and table[b, c] < 0:
                b += 1
            other = b if b < n_outputs else a
            u, v = table[a, c], table[other, c]
            multiply_rows(grad, a, other, start, length, x, c, 0, 0, n, out, u, v)
