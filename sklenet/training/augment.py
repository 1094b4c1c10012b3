"""Random changes of training images: per sample, in the batch, on its device.

All lengths are pixels of the network's canvas. All geometric changes of an image are one
interpolation; pixels from outside the canvas are background. On a CPU compiled kernels make
the changes, elsewhere torch does. The distributions are the same, the random numbers not.
"""

import math
import reprlib
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from sklenet.images.canvas import Canvas
from sklenet.network.kernels.compiler import load_layers, prepare

ELASTIC_SIGMA = 4.0  # Simard, Steinkraus, Platt 2003, section 2


class Amount(NamedTuple):
    """The amount of an augmentation: its default, and the range it must lie in."""

    default: float
    low: float
    high: float
    what: str
    whole: bool = False


AUGMENTATIONS = {
    "invert": Amount(0.5, 0, 1, "the probability of the negative image"),
    "flip": Amount(0.5, 0, 1, "the probability of the mirror image, left to right"),
    "crop": Amount(
        4,
        1,
        16,
        "the width of the padding, from which an image of its size is cut",
        whole=True,
    ),
    "shift": Amount(2, 0, 16, "the maximum distance, in pixels, in each direction"),
    "rotation": Amount(10, 0, 180, "the maximum angle, in degrees"),
    "scale": Amount(
        0.1, 0, 0.9, "the maximum fraction by which the image grows or shrinks"
    ),
    "shear": Amount(0.2, 0, 2, "the maximum horizontal shift per row"),
    "squeeze": Amount(
        0.1,
        0,
        0.9,
        "the maximum fraction by which the image becomes narrower and higher, or wider",
    ),
    "lecun1998": Amount(
        1,
        0,
        3,
        "the strength of the 1998 paper's set: shift, scale, squeeze, shear",
    ),
    "elastic": Amount(34, 0, 200, "the strength alpha of Simard et al., 2003"),
    "cutout": Amount(8, 1, 32, "the side length of the square that is blanked", whole=True),
    "brightness": Amount(0.4, 0, 1, "the maximum relative change of brightness"),
    "contrast": Amount(0.4, 0, 1, "the maximum relative change of contrast"),
    "saturation": Amount(0.4, 0, 1, "the maximum relative change of saturation"),
    "hue": Amount(0.1, 0, 0.5, "the maximum rotation of the colour circle, a fraction"),
    "color_jitter": Amount(
        1, 0, 2.5, "the strength of brightness, contrast, saturation and hue together"
    ),
}

# Augmentations that stand for several others, with the amounts of these at strength 1. The
# 1998 paper names its set (section III.A) but not the amounts, which are ours.
_SETS = {
    "lecun1998": {"shift": 2.0, "scale": 0.1, "squeeze": 0.1, "shear": 0.2},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
}

_COLORS = ("brightness", "contrast", "saturation", "hue")
_GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue, as in torchvision


def read_augment(augment) -> dict[str, float]:
    """Return the parameter `augment` as amounts by name.

    Parameters
    ----------
    augment : None, str, dict, or list of str and dict
        A name takes its default amount; a dict gives amounts by name. A later entry of a
        list overrides an earlier one of the same name.

    Raises
    ------
    ValueError
        If a name is unknown, an amount is out of its range, or a list has more entries
        than there are augmentations.
    """
    if augment is None:
        return {}
    parts = [augment] if isinstance(augment, str | Mapping) else augment
    if len(parts) > len(AUGMENTATIONS):
        raise ValueError(
            f"The 'augment' parameter must have at most {len(AUGMENTATIONS)} entries, one"
            f" for each augmentation. Got {len(parts):,}."
        )
    amounts: dict[str, float] = {}
    for part in parts:
        if isinstance(part, Mapping):
            items = part
        elif isinstance(part, str):
            items = {part: None}
        else:
            raise ValueError(
                "The 'augment' parameter must be made of names and dicts of amounts. Got"
                f" {reprlib.repr(part)}."
            )
        for name, amount in items.items():
            amounts[name] = _check(name, amount)
    return amounts


def _check(name, amount):
    if not isinstance(name, str) or name not in AUGMENTATIONS:
        raise ValueError(
            f"The 'augment' parameter has the unknown name {reprlib.repr(name)}. Known:"
            f" {', '.join(AUGMENTATIONS)}."
        )
    rule = AUGMENTATIONS[name]
    if amount is None:
        return rule.default
    kind = Integral if rule.whole else Real
    if isinstance(amount, kind) and not isinstance(amount, bool):
        number = int(amount) if isinstance(amount, Integral) else float(amount)
        if rule.low <= number <= rule.high:
            return number
    right = "a whole number" if rule.whole else "a number"
    raise ValueError(
        f"The 'augment' parameter has {name!r}: {reprlib.repr(amount)}, but {name!r},"
        f" {rule.what}, must be {right} from {rule.low} to {rule.high}."
    )


class Augmenter:
    """Change a batch of images at random.

    The changes of an image depend on the seed and on how many images came before it, not
    on how these were divided into batches.

    Parameters
    ----------
    amounts : dict of str to float
        As `read_augment` returns them.
    canvas : Canvas
    seed : int
    """

    def __init__(self, amounts: dict[str, float], canvas: Canvas, seed: int) -> None:
        self.amounts = dict(amounts)
        for combined, parts in _SETS.items():
            strength = self.amounts.pop(combined, 0)
            for name, amount in parts.items() if strength else ():
                self.amounts[name] = max(self.amounts.get(name, 0), strength * amount)
        self.canvas = canvas
        # Of the pixel values, after subtraction of the background.
        darkest, brightest = canvas.limits
        self.darkest, self.extent = darkest - canvas.background, brightest - darkest
        self.has_colors = bool(self.amounts.keys() & set(_COLORS)) and self.extent > 0
        self.seed = seed
        self._generator: torch.Generator | None = None
        # For single numbers, for the noise of elastic fields, and for colours.
        self._numbers, self._noise, self._colors = (
            np.random.Generator(np.random.SFC64([seed, k])) for k in range(3)
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return changed images, of shape (n, channels, height, width)."""
        kernels = load_layers() if images.device.type == "cpu" else None
        if kernels is None or not self.can_use(kernels):
            return self._change_by_torch(images)
        pixels = images.float().contiguous().numpy()
        return torch.from_numpy(self.change_by_kernels(pixels, kernels.augmentation))

    def can_use(self, kernels: Any) -> bool:
        """Return whether the kernels of augmentation can be compiled, after doing that.

        Parameters
        ----------
        kernels : module
            What `load_layers` returns.
        """
        elastic = [kernels.augmentation.smooth_noise] if "elastic" in self.amounts else []
        return prepare(
            kernels.augmentation.augment_images,
            kernels.images.place_images,
            kernels.images.transpose,
            *elastic,
        )

    def change_by_kernels(self, images: np.ndarray, kernels: Any) -> np.ndarray:
        """Return changed images, as calling the object does.

        Parameters
        ----------
        images : ndarray of float32 of shape (n, channels, height, width)
        kernels : module
        """
        n, channels, height, width = images.shape
        draws = self._numbers.random((n, kernels.N_DRAWS), dtype=np.float32)
        amounts = np.full(kernels.N_DRAWS, kernels.ABSENT, np.float32)
        for name, amount in self.amounts.items():
            if name != "elastic" and name not in _COLORS:
                amounts[getattr(kernels, name.upper())] = amount
        fields = np.empty((1, 2, height, width), np.float32)
        is_elastic = "elastic" in self.amounts
        if is_elastic:
            fields = self._elastic_fields(n, height, width, kernels)
        colors = np.ones((n if self.has_colors else 1, len(_COLORS)), np.float32)
        if self.has_colors:
            colors = self._color_factors(2 * self._colors.random(colors.shape) - 1)
        rows, columns = self.canvas.interior
        interior = np.array([rows.start, rows.stop, columns.start, columns.stop])
        work = np.zeros((2, channels, height + 3, width + 3), np.float32)
        out = np.empty_like(images)
        kernels.augment_images(
            images,
            draws,
            amounts,
            fields,
            is_elastic,
            colors.astype(np.float32),
            self.has_colors,
            self.darkest,
            self.extent,
            self.canvas.background,
            interior,
            work,
            out,
        )
        return out

    def _color_factors(self, numbers):
        """Return the changes of colours for numbers from -1 to 1, of shape (n, 4).

        Those of brightness, contrast and saturation are factors, and that of hue is a
        fraction of the colour circle.
        """
        for k, name in enumerate(_COLORS):
            numbers[:, k] *= self.amounts.get(name, 0)
        numbers[:, :3] += 1
        return numbers

    def _elastic_fields(self, n: int, height: int, width: int, kernels) -> np.ndarray:
        """Return displacements (n, 2, height, width): noise, smoothed by a Gaussian."""
        weights = _gaussian(torch.device("cpu")).numpy()
        margin = len(weights) - 1
        shape = (2 * n, height + margin, width + margin)
        noise = self._noise.random(shape, dtype=np.float32)
        fields = np.empty((2 * n, height, width), np.float32)
        kernels.smooth_noise(noise, weights, self.amounts["elastic"], fields)
        return fields.reshape(n, 2, height, width)

    def get_generator(self, device: torch.device) -> torch.Generator:
        """Return the generator for images that torch changes on a device."""
        if self._generator is None:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    def _change_by_torch(self, images: torch.Tensor) -> torch.Tensor:
        self.get_generator(images.device)
        background = self.canvas.background
        images = images - background if background else images
        if "flip" in self.amounts:
            images = torch.where(self._chosen(images, "flip"), images.flip(3), images)
        if "crop" in self.amounts:
            images = self._crop(images, int(self.amounts["crop"]))
        geometric = {"shift", "rotation", "scale", "shear", "squeeze", "elastic"}
        if geometric & self.amounts.keys():
            grid = self._grid(images)
            images = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
        if self.has_colors:
            images = self._change_colors(images)
        if "invert" in self.amounts:
            images = self._invert(images)
        if "cutout" in self.amounts:
            images = self._cutout(images, int(self.amounts["cutout"]))
        return images + background if background else images

    def _uniform(self, images, *shape):
        """Return numbers from -1 to 1, one for each sample or of the given shape."""
        shape = shape or (len(images), 1, 1)
        numbers = torch.rand(shape, generator=self._generator, device=images.device)
        return 2 * numbers - 1

    def _chosen(self, images, name):
        """Return which samples an augmentation takes, of shape (n, 1, 1, 1)."""
        shape = (len(images), 1, 1, 1)
        numbers = torch.rand(shape, generator=self._generator, device=images.device)
        return numbers < self.amounts[name]

    def _crop(self, images, padding):
        n, channels, height, width = images.shape
        padded = F.pad(images, (padding,) * 4)
        top, left = torch.randint(
            2 * padding + 1, (2, n, 1), generator=self._generator, device=images.device
        )
        rows = top + torch.arange(height, device=images.device)
        columns = left + torch.arange(width, device=images.device)
        samples = torch.arange(n, device=images.device)[:, None, None, None]
        channel = torch.arange(channels, device=images.device)[:, None, None]
        return padded[samples, channel, rows[:, None, :, None], columns[:, None, None, :]]

    def _grid(self, images):
        """Return where each new pixel comes from, as `grid_sample` takes it."""
        height, width = images.shape[2:]
        x = torch.arange(width, device=images.device) - (width - 1) / 2
        y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2

        def amount(name):
            return self.amounts.get(name, 0) * self._uniform(images)

        # Rotation after shear after scaling. Sampling takes the inverse of what one sees:
        # as the amounts are drawn symmetrically, only the scale needs to know.
        angle = math.pi / 180 * amount("rotation")
        sine, cosine = angle.sin(), angle.cos()
        shear, squeeze, scale = amount("shear"), 1 + amount("squeeze"), 1 + amount("scale")
        u = x * squeeze / scale
        v = y / (squeeze * scale)
        u = u + shear * v
        from_x = cosine * u - sine * v + amount("shift")
        from_y = sine * u + cosine * v + amount("shift")
        if "elastic" in self.amounts:
            field = self._elastic_field(images)
            from_x, from_y = from_x + field[:, 0], from_y + field[:, 1]
        return torch.stack([from_x * (2 / width), from_y * (2 / height)], dim=3)

    def _elastic_field(self, images):
        """Return displacements (n, 2, height, width): noise, smoothed by a Gaussian."""
        n, _, height, width = images.shape
        kernel = _gaussian(images.device)
        margin = len(kernel) - 1
        noise = self._uniform(images, n * 2, 1, height + margin, width + margin)
        smooth = F.conv2d(
            F.conv2d(noise, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1)
        )
        return self.amounts["elastic"] * smooth.view(n, 2, height, width)

    def _change_colors(self, images):
        numbers = self._uniform(images, len(images), len(_COLORS))
        factors = self._color_factors(numbers)[:, :, None, None, None]
        brightness, contrast, saturation, hue = factors.unbind(dim=1)
        rows, columns = self.canvas.interior
        picture = (images[:, :, rows, columns] - self.darkest) / self.extent
        picture = (picture * brightness).clamp(0, 1)
        mean = _convert_to_grey(picture).mean(dim=(2, 3), keepdim=True)
        picture = torch.lerp(mean, picture, contrast).clamp(0, 1)
        if images.shape[1] == 3:
            grey = _convert_to_grey(picture)
            picture = _turn_hue(torch.lerp(grey, picture, saturation).clamp(0, 1), hue)
        images = images.clone()
        images[:, :, rows, columns] = picture * self.extent + self.darkest
        return images

    def _invert(self, images):
        # The picture, not the border, as the negative of a file looks on the canvas.
        rows, columns = self.canvas.interior
        negative = images.clone()
        both = 2 * self.darkest + self.extent
        negative[:, :, rows, columns] = both - images[:, :, rows, columns]
        return torch.where(self._chosen(images, "invert"), negative, images)

    def _cutout(self, images, side):
        height, width = images.shape[2:]
        # The centre is anywhere: at the edge, less is cut out.
        x = (self._uniform(images) + 1) * (width / 2)
        y = (self._uniform(images) + 1) * (height / 2)
        in_x = (torch.arange(width, device=images.device) + 0.5 - x).abs() < side / 2
        in_y = (
            torch.arange(height, device=images.device)[:, None] + 0.5 - y
        ).abs() < side / 2
        return images.masked_fill((in_x & in_y)[:, None], 0)


def _convert_to_grey(images: torch.Tensor) -> torch.Tensor:
    """Return the brightness of images, of shape (n, 1, height, width)."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    # Numbers rather than a tensor of them, which would be copied to the device each time.
    channels = zip(_GREY, images.split(1, dim=1), strict=True)
    return sum(weight * channel for weight, channel in channels)


def _turn_hue(images: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Rotate the colour circle by a fraction, in the HSV model of colours."""
    red, green, blue = images.unbind(dim=1)
    value, chroma = images.amax(dim=1), images.amax(dim=1) - images.amin(dim=1)
    divisor = torch.where(chroma == 0, 1, chroma)
    # Sixths of the circle, from red.
    place = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(
            value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4
        ),
    )
    place = place + 6 * turn[:, 0]
    channels = []
    for offset in (5, 3, 1):
        k = torch.remainder(place + offset, 6)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)


def _gaussian(device: torch.device) -> torch.Tensor:
    """Return the weights that smooth a row or a column of elastic displacements."""
    radius = int(3 * ELASTIC_SIGMA)
    offsets = torch.arange(-radius, radius + 1, device=device)
    weights = torch.exp(-0.5 * (offsets / ELASTIC_SIGMA) ** 2)
    return weights / weights.sum()


def make_augmenter(augment, canvas: Canvas, seed: int) -> Augmenter | None:
    """Return the `Augmenter` of the parameter `augment`, or None if it is empty."""
    amounts = read_augment(augment)
    return Augmenter(amounts, canvas, seed) if amounts else None
