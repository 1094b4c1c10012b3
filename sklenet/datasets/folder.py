"""Load a folder of images with one sub-folder per class."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_image, is_image_name, resize_and_pad
from sklenet.images.shapes import check_image_shape, make_pixel_names


def load_image_folder(path, *, image_shape=(28, 28), on_error="raise", return_X_y=False):
    """Load images from a folder with one sub-folder per class.

    Files are read as `sklenet predict` reads them for a model with ``framing="whole"``, in
    any of the formats in ``sklenet.datasets.decoder.FORMATS``,
    such as PNG, JPEG, WebP and TIFF.

    Parameters
    ----------
    path : str or path-like
        The folder. The names of its sub-folders are the class labels; they may have
        sub-folders themselves. Files and folders whose names start with a dot are ignored.
    image_shape : tuple of int (h, w) or (c, h, w), default=(28, 28)
        The shape of every image in the result: one channel is grey, three are RGB. An
        image of other proportions is fitted inside and centred; its margins have the
        colour of its corners. A transparent image is put on white, or on black if what is
        opaque is bright.
    on_error : {"raise", "skip"}, default="raise"
        What to do if images cannot be read: raise one error that lists all of them, or
        leave them out and list them in ``skipped``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or tuple
        ``data`` (n, c * h * w) uint8 from 0 to 255, ``target`` (n,) of class names,
        ``images`` (n, h, w) or (n, c, h, w), ``target_names``, ``feature_names``,
        ``filenames`` (n,), ``skipped``, a list of (file, reason) with every file that was
        not read, among them those that are no images by their names, ``DESCR``.

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
    return load_folder(path, image_shape, on_error, return_X_y, _read_whole)


def load_folder(
    path,
    image_shape,
    on_error: str,
    return_X_y: bool,
    read: Callable[[Path, tuple[int, int, int]], np.ndarray],
):
    """Load a folder as `load_image_folder` does, with a function that reads one file.

    Parameters
    ----------
    path, image_shape, on_error, return_X_y
        See :func:`load_image_folder`.
    read : callable
        Called with a file and the shape (c, h, w); returns an array of c * h * w bytes, or
        raises a ValueError whose message begins with the file.

    Returns
    -------
    Bunch or tuple
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
    files, others = _find_images(root)

    images, labels, filenames, skipped = [], [], [], []
    for name, paths in files.items():
        for file in paths:
            try:
                images.append(read(file, shape).reshape(shape))
            except ValueError as error:
                reason = str(error).removeprefix(f"{make_printable(file)}: ")
                skipped.append((str(file), reason))
            else:
                labels.append(name)
                filenames.append(str(file))
    if skipped and on_error == "raise":
        listed = "\n".join(
            f"  {make_printable(file)}: {reason}" for file, reason in skipped
        )
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
        feature_names=make_pixel_names(stacked.shape[1:]),
        filenames=np.array(filenames),
        skipped=sorted(skipped + others),
        DESCR=f"{len(stacked)} images of {len(files)} classes from {root}.",
    )


def _find_images(root: Path) -> tuple[dict[str, list[Path]], list[tuple[str, str]]]:
    """Return the images of each class by their names, and the other files with reasons."""
    files: dict[str, list[Path]] = {}
    others = []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            others.append((str(entry), "not in the sub-folder of a class"))
            continue
        files[entry.name] = []
        for file in _walk(entry):
            if file.is_dir():
                others.append((str(file), "a link to a folder"))
            elif is_image_name(file.name):
                files[entry.name].append(file)
            else:
                others.append((str(file), "not an image by its name"))
    if not files:
        raise ValueError(f"{root} has no sub-folders: put the images of each class in one.")
    empty = [make_printable(name) for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(f"{root} has sub-folders without an image: {', '.join(empty)}.")
    return files, others


def _walk(folder: Path) -> list[Path]:
    """Return the files below a folder, and links to folders, without hidden ones."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        found += [Path(parent, name) for name in names + links if not name.startswith(".")]
    return sorted(found)


def _read_whole(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    channels, *size = shape
    pixels = resize_and_pad(
        decode_image(file, channels, (size[0], size[1])), (size[0], size[1])
    )
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)
