"""Pages with digits, drawn for the tests of framing."""

import numpy as np
from PIL import Image


def draw_page(height=200, width=160, *, paper=220.0, ink=120.0, box=(60, 50, 60, 24)):
    """Return a page with a rectangle of ink; `box` is (top, left, height, width)."""
    image = np.full((height, width), paper)
    top, left, h, w = box
    image[top : top + h, left : left + w] -= ink
    return image.clip(0, 255).astype(np.uint8)


def make_photo(digit, rng, *, negative=False):
    """Return a digit of MNIST as a photo of unevenly lit, noisy paper."""
    side = int(rng.integers(120, 400))
    big = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    height, width = rng.integers(side + 20, side + 300, 2)
    top, left = rng.integers(0, height - side), rng.integers(0, width - side)
    across = np.linspace(-1, 1, width)[None] * rng.uniform(-40, 40)
    down = np.linspace(-1, 1, height)[:, None] * rng.uniform(-30, 30)
    image = 200 + across + down
    ink = np.asarray(big, dtype=float) / 255 * rng.uniform(90, 170)
    image[top : top + side, left : left + side] -= ink
    image += rng.normal(0, 6, image.shape)
    image = image.clip(0, 255).astype(np.uint8)
    return 255 - image if negative else image


def draw_seven(image, left=100, top=80, grey=60):
    """Draw a seven with thick strokes, 90 pixels high and 60 wide, on a page."""
    image[top : top + 12, left : left + 60] = grey
    for k in range(90):
        middle = left + 54 - k // 3
        image[top + k, middle - 6 : middle + 6] = grey
    return image


def draw_sevens(*lefts, top=80, width=500):
    """Return a page with a seven at each of these columns."""
    page = np.full((250, width), 250, np.uint8)
    for left in lefts:
        draw_seven(page, left, top)
    return page
