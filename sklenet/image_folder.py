"""Images of one's own: a folder with one sub-folder per class."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from sklearn.utils import Bunch

from sklenet.images import check_image_shape, pixel_names

SUFFIXES = {".png", ".jpg", ".jpeg"}


def load_image_folder(path, *, image_shape=(28, 28), on_error="raise", return_X_y=False):
    """Load PNG and JPEG images from a folder with one sub-folder per class.

    Parameters
    ----------
    path : str or path-like
        Its sub-folders are the classes, by name; they may have sub-folders. Files that are
        not PNG or JPEG by their suffix, and hidden ones, are passed over.
    image_shape : tuple of int (h, w) or (c, h, w), default=(28, 28)
        What every image becomes: one channel is grey, three are red, green, blue. An image
        of other proportions is made to fit inside, centred, its border in the colour of
        its corners. A transparent image is put on white.
    on_error : {"raise", "skip"}, default="raise"
        What to do with images that cannot be read: raise one error that lists all of them,
        or leave them out and list them in ``skipped``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, c * h * w) uint8 from 0 to 255, ``target`` (n,) of class names,
        ``images`` (n, h, w) or (n, c, h, w), ``target_names``, ``feature_names``,
        ``filenames`` (n,), ``skipped``, a list of (file, reason), ``DESCR``.

    Raises
    ------
    OSError
        If there is no such folder, or images cannot be read.
    ValueError
        If it has no sub-folder, or a sub-folder has no image; or a parameter is wrong.

    Examples
    --------
    >>> from sklenet.datasets import load_image_folder
    >>> X, y = load_image_folder("digits/", return_X_y=True)  # doctest: +SKIP
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip'. Got {on_error!r}.")
    shape = check_image_shape(image_shape, "load_image_folder")
    if shape is None or shape[0] not in (1, 3):
        raise ValueError(
            "image_shape must be (height, width), or (channels, height, width) with 1 or 3"
            f" channels. Got {image_shape!r}."
        )
    root = Path(path)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder.")
    files = _image_files(root)

    images, labels, filenames, skipped = [], [], [], []
    for name, paths in files.items():
        for file in paths:
            try:
                images.append(_read(file, shape))
            except (
                OSError,
                ValueError,
                SyntaxError,
                Image.DecompressionBombError,
            ) as error:
                skipped.append((str(file), _reason(error)))
            else:
                labels.append(name)
                filenames.append(str(file))
    if skipped and on_error == "raise":
        listed = "\n".join(f"  {file}: {reason}" for file, reason in skipped)
        raise OSError(
            f"{len(skipped)} of {len(skipped) + len(images)} images cannot be read"
            f" (on_error='skip' leaves them out):\n{listed}"
        )
    if not images:
        raise ValueError(f"No image in {root} can be read.")

    stacked = np.stack(images)
    data, target = stacked.reshape(len(stacked), -1), np.array(labels)
    if return_X_y:
        return data, target
    if len(image_shape) == 2:
        stacked = stacked[:, 0]
    return Bunch(
        data=data,
        target=target,
        images=stacked,
        target_names=np.array(list(files)),
        feature_names=pixel_names(stacked.shape[1:]),
        filenames=np.array(filenames),
        skipped=skipped,
        DESCR=f"{len(stacked)} images of {len(files)} classes from {root}.",
    )


def _image_files(root: Path) -> dict[str, list[Path]]:
    classes = sorted(d for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))
    if not classes:
        raise ValueError(f"{root} has no sub-folders: put the images of each class in one.")
    files = {
        folder.name: sorted(
            file
            for file in folder.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
        for folder in classes
    }
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(
            f"{root} has sub-folders without a PNG or JPEG: {', '.join(empty)}."
        )
    return files


def _read(file: Path, shape) -> np.ndarray:
    channels, height, width = shape
    with Image.open(file, formats=("PNG", "JPEG")) as opened:
        image: Image.Image = opened
        image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # 16 bits per pixel: Pillow would cut them off at 255.
        pixels = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((pixels / max(pixels.max(), 1) * 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = _fit(image, (width, height))
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the whole image in the given size, its proportions kept."""
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = np.asarray(image)
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(4, -1)
    background = tuple(int(v) for v in np.median(corners, axis=0))
    fitted = Image.new(
        image.mode, size, background if len(background) > 1 else background[0]
    )
    resized = image.resize(
        inner, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    )
    fitted.paste(resized, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return fitted


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a PNG or JPEG image"
    return str(error) or type(error).__name__
