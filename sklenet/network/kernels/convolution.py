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


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8)", EXACT)
def add_five(out_a, out_b, x, a, b, n):
    """Add five shifted copies of `x` to two rows: out[t] += sum_j weights[j] x[t + j n].

    Each statement has one product and one sum, so that no compilation can round them in
    another way than another.
    """
    a0, a1, a2, a3, a4 = a[0], a[1], a[2], a[3], a[4]
    b0, b1, b2, b3, b4 = b[0], b[1], b[2], b[3], b[4]
    x1, x2, x3, x4 = x[n:], x[2 * n :], x[3 * n :], x[4 * n :]
    for t in range(len(out_a)):
        sum_a = out_a[t] + a0 * x[t]
        sum_b = out_b[t] + b0 * x[t]
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


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8)", EXACT)
def add_three(out_a, out_b, x, a, b, n):
    """Add three shifted copies of `x` to two rows."""
    a0, a1, a2 = a[0], a[1], a[2]
    b0, b1, b2 = b[0], b[1], b[2]
    x1, x2 = x[n:], x[2 * n :]
    for t in range(len(out_a)):
        sum_a = out_a[t] + a0 * x[t]
        sum_b = out_b[t] + b0 * x[t]
        sum_a += a1 * x1[t]
        sum_b += b1 * x1[t]
        sum_a += a2 * x2[t]
        sum_b += b2 * x2[t]
        out_a[t] = sum_a
        out_b[t] = sum_b


@kernel("void(f4[::1], f4[::1], f4[::1], i8)", EXACT)
def add_five_to_one(out, x, a, n):
    """Add five shifted copies of `x` to one row."""
    a0, a1, a2, a3, a4 = a[0], a[1], a[2], a[3], a[4]
    x1, x2, x3, x4 = x[n:], x[2 * n :], x[3 * n :], x[4 * n :]
    for t in range(len(out)):
        total = out[t] + a0 * x[t]
        total += a1 * x1[t]
        total += a2 * x2[t]
        total += a3 * x3[t]
        total += a4 * x4[t]
        out[t] = total


@kernel("void(f4[::1], f4[::1], f4[::1], i8, i8)", EXACT)
def add_single(out, x, a, start, n):
    """Add the copies of `x` from weight `start` on to one row, one by one."""
    for j in range(start, len(a)):
        shifted, weight = x[j * n :], a[j]
        for t in range(len(out)):
            out[t] += weight * shifted[t]


@kernel("void(f4[::1], f4[::1], f4[::1], i8)", EXACT)
def add_to_one(out, x, a, n):
    """Add a row of a kernel times `x` to one row."""
    start = 0
    while len(a) - start >= 5:
        add_five_to_one(out, x[start * n :], a[start:], n)
        start += 5
    add_single(out, x, a, start, n)


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8)", EXACT)
def add_to_two(out_a, out_b, x, a, b, n):
    """Add a row of two kernels times `x` to two rows."""
    start = 0
    while len(a) - start >= 5:
        add_five(out_a, out_b, x[start * n :], a[start:], b[start:], n)
        start += 5
    while len(a) - start >= 3:
        add_three(out_a, out_b, x[start * n :], a[start:], b[start:], n)
        start += 3
    add_single(out_a, x, a, start, n)
    add_single(out_b, x, b, start, n)


@kernel(
    "void(f4[:, :, ::1], f4[:, :, ::1], i8[:, ::1], i8, i8, i8, f4[::1], f4[::1])", EXACT
)
def correlate_row(x, kernels, table, m, first, n, out_a, out_b):
    """Add one row of the maps m and m + 1 to `out_a` and `out_b`.

    out_m[t] += sum over c, i, j of kernels[table[m, c], i, j] * x[c, first + i, t + j * n]

    Rows of `x` that do not exist count as zeros. Without a map m + 1, `out_b` is left as
    it is.
    """
    height, k = x.shape[1], kernels.shape[1]
    for c in range(x.shape[0]):
        a = table[m, c]
        b = table[m + 1, c] if m + 1 < len(table) else -1
        for i in range(max(0, -first), min(k, height - first)):
            row = x[c, first + i]
            if a >= 0 and b >= 0:
                add_to_two(out_a, out_b, row, kernels[a, i], kernels[b, i], n)
            elif a >= 0:
                add_to_one(out_a, row, kernels[a, i], n)
            elif b >= 0:
                add_to_one(out_b, row, kernels[b, i], n)


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
    grad_x[:] = 0
    used = grad.shape[2] - (k - 1) * n
    for m in range(0, len(table), 2):
        other = min(m + 1, len(table) - 1)
        for y in range(grad.shape[1] + k - 1):
            out_a, out_b = grad_x[m, y, :used], grad_x[other, y, :used]
            correlate_row(grad, kernels, table, m, y - k + 1, n, out_a, out_b)


_DOTS = (
    "void(f4[:, :, ::1], i8, i8, i8, i8, f4[:, :, ::1], i8, i8, i8, i8, f4[::1], f4[::1])"
)


@kernel(_DOTS, SUMS)
def multiply_five(grad, a, b, start, length, x, c, first, left, n, out_a, out_b):
    """Compute the gradients of five weights of two maps, a and b.

    out_m[j] = sum over y, t of grad[m, y, start + t] * x[c, first + y, t + (left + j) * n]

    This is the dot product of all rows of a map's gradient with shifted input rows::

        grad  |---------------------------|
        x     |---------------------------|              out[0]
                  |---------------------------|          out[1]
                      |---------------------------|      out[2]
    """
    a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = np.float32(0)
    for y in range(grad.shape[1]):
        g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
        row = x[c, first + y, left * n :]
        x1, x2, x3, x4 = row[n:], row[2 * n :], row[3 * n :], row[4 * n :]
        for t in range(length):
            a0 += g[t] * row[t]
            b0 += h[t] * row[t]
            a1 += g[t] * x1[t]
            b1 += h[t] * x1[t]
            a2 += g[t] * x2[t]
            b2 += h[t] * x2[t]
            a3 += g[t] * x3[t]
            b3 += h[t] * x3[t]
            a4 += g[t] * x4[t]
            b4 += h[t] * x4[t]
    out_a[0], out_a[1], out_a[2], out_a[3], out_a[4] = a0, a1, a2, a3, a4
    out_b[0], out_b[1], out_b[2], out_b[3], out_b[4] = b0, b1, b2, b3, b4


@kernel(_DOTS, SUMS)
def multiply_three(grad, a, b, start, length, x, c, first, left, n, out_a, out_b):
    """Compute the gradients of three weights of two maps."""
    a0 = a1 = a2 = b0 = b1 = b2 = np.float32(0)
    for y in range(grad.shape[1]):
        g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
        row = x[c, first + y, left * n :]
        x1, x2 = row[n:], row[2 * n :]
        for t in range(length):
            a0 += g[t] * row[t]
            b0 += h[t] * row[t]
            a1 += g[t] * x1[t]
            b1 += h[t] * x1[t]
            a2 += g[t] * x2[t]
            b2 += h[t] * x2[t]
    out_a[0], out_a[1], out_a[2] = a0, a1, a2
    out_b[0], out_b[1], out_b[2] = b0, b1, b2


@kernel(_DOTS, SUMS)
def multiply_one(grad, a, b, start, length, x, c, first, left, n, out_a, out_b):
    """Compute the gradients of one weight of two maps."""
    sum_a = sum_b = np.float32(0)
    for y in range(grad.shape[1]):
        g, h = grad[a, y, start : start + length], grad[b, y, start : start + length]
        row = x[c, first + y, left * n :]
        for t in range(length):
            sum_a += g[t] * row[t]
            sum_b += h[t] * row[t]
    out_a[0] = sum_a
    out_b[0] = sum_b


@kernel(
    "void(f4[:, :, ::1], i8, i8, i8, i8, f4[:, :, ::1], i8, i8, i8, f4[::1], f4[::1])", SUMS
)
def multiply_rows(grad, a, b, start, length, x, c, first, n, out_a, out_b):
    """Compute the gradients of one row of the kernels of two maps."""
    k, j = len(out_a), 0
    while k - j >= 5:
        multiply_five(
            grad, a, b, start, length, x, c, first, j, n, out_a[j:], out_b[j:]
        )
        j += 5
    while k - j >= 3:
        multiply_three(
            grad, a, b, start, length, x, c, first, j, n, out_a[j:], out_b[j:]
        )
        j += 3
    while j < k:
        multiply_one(grad, a, b, start, length, x, c, first, j, n, out_a[j:], out_b[j:])
        j += 1


@kernel(
    "void(f4[:, :, ::1], i8, i8, f4[:, :, ::1], i8[:, ::1], i8, f4[:, :, ::1])", SUMS
)
def correlate_weights(grad, start, length, x, table, n, grad_kernels):
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
    grad_kernels : array of shape (n_kernels, k, k)
        Is overwritten.
    """
    k = grad_kernels.shape[1]
    n_outputs, n_inputs = table.shape
    for c in range(n_inputs):
        a = 0
        while a < n_outputs:
            if table[a, c] < 0:
                a += 1
                continue
            b = a + 1
            while b < n_outputs and table[b, c] < 0:
                b += 1
            next_a = b + 1
            if b >= n_outputs:
                b = a
            for i in range(k):
                out_a, out_b = grad_kernels[table[a, c], i], grad_kernels[table[b, c], i]
                multiply_rows(grad, a, b, start, length, x, c, i, n, out_a, out_b)
            a = next_a
