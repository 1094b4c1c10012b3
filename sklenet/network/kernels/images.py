"""Batches of images from rows of bytes."""

from sklenet.network.kernels.compiler import EXACT, kernel


@kernel("void(u1[:, ::1], i8[::1], i8[::1], f4[::1], f4, f4[:, ::1])", EXACT)
def gather_images(pixels, rows, source, values, background, out):
    """Put some images on the canvas, the images as the last axis.

    out[k, t] = values[pixels[rows[t], source[k]]], or the background where source[k] < 0

    Parameters
    ----------
    pixels : array of shape (n_samples, n_features)
    rows : array of shape (n,)
        The images of the batch.
    source : array of shape (n_canvas_pixels,)
        The feature that each pixel of the canvas shows, or -1.
    values : array of shape (256,)
        What each byte is mapped to.
    background : float
    out : array of shape (n_canvas_pixels, n)
    """
    for k in range(len(source)):
        feature = source[k]
        if feature < 0:
            out[k] = background
        else:
            for t in range(len(rows)):
                out[k, t] = values[pixels[rows[t], feature]]


@kernel("void(u1[:, ::1], i8[::1], i8[::1], f4[::1], f4, f4[:, ::1])", EXACT)
def place_images(pixels, rows, source, values, background, out):
    """Put some images on the canvas, each of them by itself.

    out[t, k] is what `gather_images` computes as out[k, t].
    """
    for t in range(len(rows)):
        image, placed = pixels[rows[t]], out[t]
        for k in range(len(source)):
            feature = source[k]
            placed[k] = background if feature < 0 else values[image[feature]]


@kernel("void(f4[:, ::1], f4[:, ::1])", EXACT)
def transpose(x, out):
    """Compute out[k, t] = x[t, k], in blocks that fit into a few lines of the cache."""
    n, n_pixels = x.shape
    for first in range(0, n, 16):
        last = min(first + 16, n)
        for k in range(n_pixels):
            row = out[k]
            for t in range(first, last):
                row[t] = x[t, k]
