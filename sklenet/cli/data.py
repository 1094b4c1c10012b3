"""``sklenet data``, and the options for the data of ``sklenet fit``."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklenet._utils.names import suggest_similar
from sklenet._utils.printable import make_printable
from sklenet.cli.output import add_output_options, print_results
from sklenet.cli.parser import parse_value
from sklenet.datasets.custom import (
    CustomImages,
    FileSource,
    FolderSource,
    OpenMLSource,
    Source,
    open_dataset,
)
from sklenet.datasets.loaders import load_dataset
from sklenet.datasets.registry import DATASETS, ImageDataset, get_dataset
from sklenet.datasets.table_files import FILE_SUFFIXES
from sklenet.framing import read_image
from sklenet.images.shapes import check_image_shape

_OPENML = "openml:"  # prefix of the names of OpenML's datasets
_SIZE = 28  # default of --size

# The options that apply to each kind of data.
_OPTIONS = {
    "dataset": (),
    "folder": ("size", "colour", "image_shape", "test_data", "test_fraction"),
    "file": ("label", "image_shape", "test_data", "test_fraction"),
    "dataset of OpenML": ("label", "image_shape", "test_fraction"),
}


class FitData(NamedTuple):
    """The images and labels of a fit.

    Parameters
    ----------
    X, y : ndarray
        Those of the training set.
    test : tuple of (ndarray, ndarray), optional
        Those of the test set, if there is one.
    """

    X: np.ndarray
    y: np.ndarray
    test: tuple[np.ndarray, np.ndarray] | None


def add_commands(commands) -> None:
    """Add the command ``data`` to the subparsers of a parser."""
    data = commands.add_parser(
        "data",
        help="list or download the datasets",
        description="List the datasets and whether they are available. The datasets given"
        " by name are downloaded first if necessary. Datasets are stored in the folder"
        " $SKLENET_DATA or, if it is not set, in the cache folder of the user. For a folder"
        " of images or a file of your own, print what a fit or a study would read.",
    )
    data.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"dataset: {', '.join(DATASETS)}; or folder of images with one subfolder per"
        " class, CSV, Parquet or .npz file, or openml:NAME",
    )
    add_data_options(data)
    add_output_options(data)
    data.set_defaults(run=_run_data)


def add_data_options(parser) -> None:
    """Add the options for folders and files of the user to a parser."""
    group = parser.add_argument_group("folders and files")
    group.add_argument(
        "--size",
        type=int,
        help="height and width in pixels to which the images of a folder are fitted"
        f" (default: {_SIZE})",
    )
    group.add_argument(
        "--colour",
        action="store_true",
        default=None,
        help="read the images of a folder as RGB; by default they are read as grey",
    )
    group.add_argument(
        "--label",
        metavar="NAME",
        help="column or array with the labels of a file (default: label)",
    )
    group.add_argument(
        "--image-shape",
        type=parse_value,
        metavar="SHAPE",
        help="shape of the images of a file, such as '[28, 20]' or '[3, 32, 32]', if they"
        " are not square; for a folder, instead of --size and --colour",
    )
    test = group.add_mutually_exclusive_group()
    test.add_argument(
        "--test-data", metavar="PATH", help="folder or file with the images of the test set"
    )
    test.add_argument(
        "--test-fraction",
        type=float,
        metavar="F",
        help="fraction of the images that become the test set, stratified; by default, all"
        " images are trained on",
    )


def list_inputs(arguments) -> list[Path]:
    """Return the files and folders of the data of a fit, which need not exist."""
    own = arguments.data if _is_custom(arguments.data) else None
    return [Path(path) for path in (own, arguments.test_data) if path is not None]


def load_fit_data(arguments, framing: str) -> FitData:
    """Read the images and labels that the options of a fit name.

    Parameters
    ----------
    arguments : argparse.Namespace
    framing : str
        How the images of a folder are read.

    Raises
    ------
    ValueError
        If the data are not valid, or an option does not apply to them.
    OSError
        If they cannot be read.
    """
    name = arguments.data
    if name not in DATASETS and not _is_custom(name):
        raise ValueError(
            f"--data {name}: neither a dataset ({', '.join(DATASETS)}) nor a folder or"
            f" file.{suggest_similar(name, DATASETS)}"
        )
    _check_options(arguments, [name])
    if name in DATASETS:
        (X, y), test = (
            load_dataset(name, subset, return_X_y=True) for subset in ("train", "test")
        )
        return FitData(X, y, test)
    if arguments.test_data is None and arguments.test_fraction is None:
        parts = _make_source(arguments, name, framing).read()
        if parts.test is None:
            X, y = parts.train
            return FitData(X.reshape(-1, *parts.image_shape), y, None)
    images = _open_custom(arguments, name, framing).source
    assert isinstance(images, CustomImages)
    return FitData(*images("train"), images("test"))


def _run_data(arguments) -> int:
    own = [name for name in arguments.names if _is_custom(name)]
    for name in arguments.names:
        if name not in own:
            get_dataset(name)
    _check_options(arguments, arguments.names)
    # Without custom data, all datasets are listed.
    known = [name for name in DATASETS if not own or name in arguments.names]
    values = {name: _count_images(name, name in arguments.names) for name in known}
    lines = [
        f"{name:15} {counts['train']:,} training and {counts['test']:,} test images"
        if counts["here"]
        else f"{name:15} not available; to download it: sklenet data {name}"
        for name, counts in values.items()
    ]
    for name in own:
        values[name], line = _describe_custom(arguments, name)
        lines.append(line)
    print_results(arguments, "\n".join(lines), values)
    return 0


def _is_custom(name: str) -> bool:
    """Return whether a name is that of a folder, a file or a dataset of OpenML."""
    is_path = Path(name).exists() or Path(name).suffix.lower() in FILE_SUFFIXES
    return name not in DATASETS and (is_path or name.startswith(_OPENML))


def _find_kind(name: str) -> str:
    """Return the kind of data, as in `_OPTIONS`."""
    if name in DATASETS:
        return "dataset"
    if name.startswith(_OPENML):
        return "dataset of OpenML"
    return "folder" if Path(name).is_dir() else "file"


def _check_options(arguments, names: list[str]) -> None:
    """Raise a ValueError if an option applies to none of the data."""
    applicable = {option for name in names for option in _OPTIONS[_find_kind(name)]}
    of_any = dict.fromkeys(option for options in _OPTIONS.values() for option in options)
    for option in of_any:
        if getattr(arguments, option) is None or option in applicable:
            continue
        kinds = [f"a {kind}" for kind, options in _OPTIONS.items() if option in options]
        shown = ", ".join(make_printable(name) for name in names) or "the list of datasets"
        raise ValueError(
            f"{_to_flag(option)} applies to {' or '.join(kinds)}, but not to {shown}."
            " Remove the option."
        )
    if arguments.image_shape is not None:
        for option in ("size", "colour"):
            if getattr(arguments, option) is not None:
                raise ValueError(
                    f"--image-shape and {_to_flag(option)} exclude each other. Remove one."
                )


def _to_flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _describe_custom(arguments, name: str) -> tuple[dict, str]:
    """Return what a fit or a study reads from a folder or file, as values and as text."""
    dataset = _open_custom(arguments, name, "whole")
    train, test = dataset.n_images["train"], dataset.n_images["test"]
    values = {
        "here": True,
        "train": train,
        "test": test,
        "image_shape": list(dataset.image_shape),
        "classes": list(dataset.class_names),
        "fingerprint": dataset.fingerprint,
    }
    shape = "x".join(map(str, dataset.image_shape))
    classes = ", ".join(map(make_printable, dataset.class_names))
    text = (
        f"{make_printable(name)}: {train:,} training and {test:,} test images of {shape},"
        f" {dataset.n_classes} classes: {classes}"
    )
    images = dataset.source
    assert isinstance(images, CustomImages)
    if images.is_split and arguments.test_fraction is None:
        text += (
            "\n  The test images are split off in a study; `sklenet fit` trains on all"
            f" {train + test:,} without --test-fraction."
        )
    return values, text


def _open_custom(arguments, name: str, framing: str) -> ImageDataset:
    """Read a folder, a file or a dataset of OpenML, with a test set."""
    fraction = arguments.test_fraction
    if fraction is not None and not 0 < fraction < 1:
        raise ValueError(f"--test-fraction must be between 0 and 1. Got {fraction}.")
    source = _make_source(arguments, name, framing)
    return open_dataset(name, source, fraction, framing=framing)


def _make_source(arguments, name: str, framing: str) -> Source:
    """Return what the images of a folder, a file or a dataset of OpenML are read from."""
    test_data = None if arguments.test_data is None else Path(arguments.test_data)
    shape = arguments.image_shape
    check_image_shape(shape, "--image-shape")
    kind = _find_kind(name)
    if kind == "dataset of OpenML":
        number = name.removeprefix(_OPENML)
        which = int(number) if number.isdecimal() else number
        return OpenMLSource(which, None, arguments.label, shape)
    if kind == "file":
        return FileSource(Path(name), test_data, arguments.label, shape)
    side = _SIZE if arguments.size is None else arguments.size
    shape = shape or ((3, side, side) if arguments.colour else (side, side))
    # As `sklenet predict` reads files.
    read = partial(read_image, framing=framing)
    return FolderSource(Path(name), test_data, tuple(shape), read)


def _count_images(name: str, download: bool) -> dict:
    """Return the numbers of images of a dataset, or why it is not available.

    Raises
    ------
    OSError
        If the dataset cannot be downloaded. Without `download`, no error is raised.
    """
    try:
        counts = {
            subset: len(load_dataset(name, subset, download_if_missing=download).target)
            for subset in ("train", "test")
        }
    except OSError as error:
        if download:
            raise
        return {"here": False, "why": str(error).splitlines()[0]}
    return {"here": True, **counts}
