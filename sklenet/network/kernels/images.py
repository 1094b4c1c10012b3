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
