"""Load a folder of images with one sub-folder per class."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklenet._utils.printable import make_printable
from sklenet.datasets.decoder import decode_resized, is_image_name
from sklenet.images.shapes import ImageShape, check_image_shape, make_pixel_names


def load_image_folder(path, *, image_shape=(28, 28), on_error="raise", return_X_y=False):
    """Load images from a folder with one sub-folder per class.

    Files can be in any of the formats in ``sklenet.datasets.decoder.FORMATS``, such as PNG,
    JPEG, WebP and TIFF. They are read in the same way as by `sklenet predict` for a model
    with ``framing="whole"``.

    Parameters
    ----------
    path : str or path-like
        Path of the folder. The names of its sub-folders are the class labels; sub-folders
        can have sub-folders themselves. Files and folders whose names start with a dot are
        ignored.
    image_shape : tuple of int (h, w) or (c, h, w), default=(28, 28)
        Shape to which every image is resized: one channel gives grey images, three give
        RGB images. The aspect ratio of images is kept: they are centred, and margins have
        the colour of their corners. Transparent images get a white background, or a black
        one if their opaque pixels are bright.
    on_error : {"raise", "skip"}, default="raise"
        Action if images cannot be read: raise one error that lists all of them, or skip
        them and list them in ``skipped``.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or tuple
        A Bunch with ``data`` (n, c * h * w) of uint8 from 0 to 255, ``target`` (n,) of
        class names, ``images`` (n, h, w) or (n, c, h, w), ``target_names``,
        ``feature_names``, ``filenames`` (n,), ``skipped`` and ``DESCR``. ``skipped`` is a
        list of (file, reason) of all files that were not read, including files without the
        suffix of an image format. If `return_X_y` is True, a tuple ``(data, target)``.

    Raises
    ------
    OSError
        If the folder does not exist, or if images cannot be read.
    ValueError
        If the folder has no sub-folders, a sub-folder has no images, or a parameter is
        invalid.

    Examples
    --------
    >>> from sklenet.datasets import load_image_folder
    >>> X, y = load_image_folder("digits/", return_X_y=True)  # doctest: +SKIP
    """
    return load_folder(path, image_shape, on_error, return_X_y, decode_resized)


def load_folder(
    path,
    image_shape,
    on_error: str,
    return_X_y: bool,
    read: Callable[[Path, ImageShape], np.ndarray],
    hint: str = " (use on_error='skip' to skip them)",
):
    """Load images from a folder with a custom function that reads the files.

    Parameters
    ----------
    path, image_shape, on_error, return_X_y
        The same as for :func:`load_image_folder`.
    read : callable
        Function of a file and the shape (c, h, w) that returns an array of c * h * w
        values of uint8, or raises a ValueError whose message begins with the file.
    hint : str
        Advice in the message about images that cannot be read.

    Returns
    -------
    Bunch or tuple
        The same as for :func:`load_image_folder`.
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

    images, labels, filenames, skipped = _read_files(files, shape, read)
    if skipped and on_error == "raise":
        listed = "\n".join(
            f"  {make_printable(file)}: {reason}" for file, reason in skipped
        )
        raise OSError(
            f"{len(skipped)} of {len(skipped) + len(images)} images cannot be"
            f" read{hint}:\n{listed}"
        )
    if not images:
        raise ValueError(f"None of the images in {root} can be read.")

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
    """Return the image files of each class, and the other files with a reason each."""
    files: dict[str, list[Path]] = {}
    others = []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            others.append((str(entry), "not in a sub-folder"))
            continue
        files[entry.name] = []
        for file in _walk(entry):
            if file.is_dir():
                others.append((str(file), "a symbolic link to a folder"))
            elif is_image_name(file.name):
                files[entry.name].append(file)
            else:
                others.append((str(file), "its name has no image suffix"))
    if not files:
        raise ValueError(
            f"{root} has no sub-folders. Put the images of each class into a sub-folder."
        )
    empty = [make_printable(name) for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(f"{root} has sub-folders without images: {', '.join(empty)}.")
    return files, others


def _read_files(files: dict[str, list[Path]], shape: ImageShape, read: Callable):
    """Return the images, labels and names of readable files, and the unreadable files."""
    images, labels, filenames, skipped = [], [], [], []
    for label, paths in files.items():
        for path in paths:
            try:
                images.append(read(path, shape).reshape(shape))
            except ValueError as error:
                reason = str(error).removeprefix(f"{make_printable(path)}: ")
                skipped.append((str(path), reason))
            else:
                labels.append(label)
                filenames.append(str(path))
    return images, labels, filenames, skipped


def _walk(folder: Path) -> list[Path]:
    """Return all files below a folder, and links to folders, except hidden ones."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        found += [Path(parent, name) for name in names + links if not name.startswith(".")]
    return sorted(found)
