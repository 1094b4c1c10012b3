"""Images with disturbances, to measure the robustness of a classifier."""

import math
import zlib
from numbers import Integral, Real

import numpy as np
from scipy import ndimage
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from sklenet.images.shapes import to_images
from sklenet.preprocessing.base import ImageTransformer, restore_dtype

# The parameters that are strengths of disturbances: with 0, images are unchanged.
STRENGTHS = ("rotation", "shift", "scale", "squeeze", "stroke", "noise", "occlusion")

# The centre and its four neighbours, for thicker and thinner strokes.
_NEIGHBOURS = ndimage.generate_binary_structure(2, 1)


class Disturber(OneToOneFeatureMixin, ImageTransformer):
    """Disturb images, to measure the robustness of a classifier.

    Each parameter is the strength of a disturbance. With the default, 0, images are
    unchanged. All images are disturbed with the same strength, but each in its own
    direction: it is rotated to the left or to the right, for example. The directions and
    the noise are drawn from `random_state` and the pixels of the image alone. They do not
    depend on the other images, nor on the strengths, so that the images of two strengths
    differ in their strength only.

    Images are first rotated, scaled, squeezed and shifted by one linear interpolation, then
    strokes become thicker or thinner, then a square is occluded, and then noise is added.
    Pixels from outside of the image and occluded pixels get the background of the image,
    which is the median of its border in each channel.

    The data type of X is kept: results of integers are rounded. `fit` is only needed to
    learn `pixel_range` for noise.

    Parameters
    ----------
    rotation : float, default=0
        Angle in degrees, from 0 to 180, by which images are rotated around their centre, to
        the left or to the right.
    shift : float, default=0
        Distance in pixels by which images are shifted to the left or right, up or down.
    scale : float, default=0
        Fraction, less than 1, by which images grow or shrink: with 0.2, their width and
        height are multiplied by 1.2 or 0.8.
    squeeze : float, default=0
        Fraction, less than 1, by which images become wider and flatter or narrower and
        taller: with 0.2, their width is multiplied by 1.2 or 0.8, and their height divided
        by it.
    stroke : float, default=0
        Number of pixels by which each edge of bright strokes moves to the outside, as by a
        dilation, or to the inside, as by an erosion. A fraction is an average of the images
        of two whole numbers. Where the background is bright, dark strokes become thinner
        instead of thicker, and vice versa.
    noise : float, default=0
        Standard deviation of normal noise, as a fraction of `pixel_range`. Pixels are
        clipped to this range.
    occlusion : int, default=0
        Side length in pixels of a square that is replaced by the background. The square is
        anywhere inside the image.
    pixel_range : tuple of float (low, high), default=None
        Values of black and white. If None, they are the smallest and the largest value of X
        in `fit`.
    random_state : int, RandomState instance or None, default=0
        Determines the directions of the disturbances, the place of the square, and the
        noise. The default is a seed so that all classifiers are tested on the same images;
        with None, every call of `transform` gives other images.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of one image if X is flat. If None, it is inferred.

    Attributes
    ----------
    pixel_range_ : tuple of float (low, high)
        The `pixel_range` parameter, or the smallest and the largest value of X in `fit` if
        it is None.
    image_shape_ : tuple of int (c, h, w)
        Shape of one image in `fit`.
    n_features_in_ : int
        Number of pixel values of one image.

    See Also
    --------
    sklenet.LeNet5Classifier : Its parameter `augment` disturbs training images.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.preprocessing import Disturber
    >>> image = np.zeros((1, 5, 5), dtype=np.uint8)
    >>> image[0, 2, 2] = 255
    >>> Disturber(shift=1).transform(image)[0]
    array([[  0,   0,   0,   0,   0],
           [  0,   0,   0,   0,   0],
           [  0, 255,   0,   0,   0],
           [  0,   0,   0,   0,   0],
           [  0,   0,   0,   0,   0]], dtype=uint8)
    """

    _parameter_constraints: dict = {
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "shift": [Interval(Real, 0, None, closed="left")],
        "scale": [Interval(Real, 0, 1, closed="left")],
        "squeeze": [Interval(Real, 0, 1, closed="left")],
        "stroke": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "occlusion": [Interval(Integral, 0, None, closed="left")],
        "pixel_range": [tuple, list, None],
        "random_state": ["random_state"],
        "image_shape": ["array-like", None],
    }

    def __init__(
        self,
        *,
        rotation=0,
        shift=0,
        scale=0,
        squeeze=0,
        stroke=0,
        noise=0,
        occlusion=0,
        pixel_range=None,
        random_state=0,
        image_shape=None,
    ):
        self.rotation = rotation
        self.shift = shift
        self.scale = scale
        self.squeeze = squeeze
        self.stroke = stroke
        self.noise = noise
        self.occlusion = occlusion
        self.pixel_range = pixel_range
        self.random_state = random_state
        self.image_shape = image_shape

    def _validate_params(self):
        super()._validate_params()
        ends = self.pixel_range
        if ends is not None and not (
            len(ends) == 2
            and all(isinstance(end, Real) and math.isfinite(end) for end in ends)
            and ends[0] < ends[1]
        ):
            raise ValueError(
                "The 'pixel_range' parameter of Disturber must be None or two numbers, the"
                f" lower one first. Got {ends!r} instead."
            )

    def _fit(self, rows, shape):
        low, high = rows.min().item(), rows.max().item()
        if self.pixel_range is None:
            self.pixel_range_ = (low, high)
            return
        self.pixel_range_ = tuple(self.pixel_range)
        if low < self.pixel_range[0] or high > self.pixel_range[1]:
            raise ValueError(
                f"The 'pixel_range' parameter of Disturber is {self.pixel_range!r}, but X"
                f" has values from {low!r} to {high!r}."
            )

    def _transform(self, rows, shape):
        if not any(getattr(self, name) for name in STRENGTHS):
            return rows.copy()
        images = to_images(rows, shape)
        seed = check_random_state(self.random_state).randint(2**31)
        disturbed = np.empty_like(images)
        for image, result in zip(images, disturbed, strict=True):
            # In a common data type, equal images have equal bytes. 0 is added to -0.
            pixels = image.astype(np.float64) + 0.0
            rng = np.random.default_rng([seed, zlib.crc32(pixels.tobytes())])
            result[:] = restore_dtype(self._disturb(pixels, rng), images.dtype)
        return disturbed.reshape(len(rows), -1)[:, : rows.shape[1]]

    def _disturb(self, image, rng):
        """Return a disturbed image of shape (c, h, w)."""
        # All numbers are drawn whether they are used or not: a disturbance is the same
        # alone and with others.
        *numbers, down, right = rng.random(7)
        background = _find_background(image)
        turn, zoom, ratio, quarter, change = numbers
        if self.rotation or self.shift or self.scale or self.squeeze:
            factor = 1 + _choose_sign(zoom) * self.scale
            squeeze = 1 + _choose_sign(ratio) * self.squeeze
            angle = math.radians(_choose_sign(turn) * self.rotation)
            direction = ((0, 1), (0, -1), (1, 0), (-1, 0))[int(4 * quarter)]
            image = _move(
                image,
                background,
                angle=angle,
                height=factor / squeeze,
                width=factor * squeeze,
                shift=self.shift * np.array(direction),
            )
        if self.stroke:
            image = _change_strokes(image, _choose_sign(change) * self.stroke)
        if self.occlusion:
            image = _occlude(image, background, self.occlusion, (down, right))
        if self.noise:
            low, high = getattr(self, "pixel_range_", self.pixel_range)
            image = image + self.noise * (high - low) * rng.standard_normal(image.shape)
            image = image.clip(low, high)
        return image

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.noise) and self.pixel_range is None
        return tags


def _choose_sign(number):
    """Return 1 or -1 for a random number from 0 to 1."""
    return 1 if number < 0.5 else -1


def _find_background(image):
    """Return the median of the outermost ring of pixels in each channel, (c, 1, 1)."""
    is_border = np.ones(image.shape[1:], dtype=bool)
    is_border[1:-1, 1:-1] = False
    return np.median(image[:, is_border], axis=1)[:, None, None]


def _move(image, background, *, angle, height, width, shift):
    """Scale an image around its centre, then rotate it, then shift it.

    Parameters
    ----------
    image : ndarray of shape (c, h, w)
    background : ndarray of shape (c, 1, 1)
        Values of the pixels from outside of the image.
    angle : float
        Angle of the rotation, in radians.
    height, width : float
        Factors by which the height and the width change.
    shift : ndarray of shape (2,)
        Distances down and to the right, in pixels.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    # From a place in the result to its place in the image, relative to the centres.
    inverse = np.array([[cosine, sine], [-sine, cosine]]) / [[height], [width]]
    centre = (np.array(image.shape[1:]) - 1) / 2
    moved = [
        ndimage.affine_transform(
            channel,
            inverse,
            offset=centre - inverse @ (centre + shift),
            order=1,
            mode="grid-constant",
        )
        for channel in image - background
    ]
    return np.stack(moved) + background


def _change_strokes(image, amount):
    """Return the image with thicker or, for a negative amount, thinner bright strokes."""
    change = ndimage.grey_dilation if amount > 0 else ndimage.grey_erosion
    # After as many steps as the image has rows and columns, all pixels are the same.
    left = min(abs(amount), sum(image.shape[1:]))
    while left > 0:
        weight = min(left, 1)
        changed = change(image, footprint=_NEIGHBOURS[None])
        image = (1 - weight) * image + weight * changed
        left -= 1
    return image


def _occlude(image, background, side, place):
    """Return the image with a square of background.

    Parameters
    ----------
    image : ndarray of shape (c, h, w)
    background : ndarray of shape (c, 1, 1)
    side : int
        Side length of the square.
    place : tuple of float
        Place of the square, from 0 (top, left) to 1.
    """
    image = image.copy()
    slices = []
    for number, length in zip(place, image.shape[1:], strict=True):
        covered = min(side, length)
        start = int(number * (length - covered + 1))
        slices.append(slice(start, start + covered))
    image[:, slices[0], slices[1]] = background
    return image
