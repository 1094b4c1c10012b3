"""``sklenet data``, ``sklenet fit`` and ``sklenet predict``."""

import argparse
import inspect
import re
import sys
import tomllib
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np

from sklenet._utils.printable import make_printable
from sklenet._utils.writing import check_writable
from sklenet.cli.output import add_output_options, show, teller
from sklenet.datasets.folder import load_folder
from sklenet.datasets.loaders import load_dataset
from sklenet.datasets.registry import DATASETS, get_dataset
from sklenet.estimator import LeNet5Classifier
from sklenet.framing import assume_framing, read_image, read_line
from sklenet.persistence.format import check_labels
from sklenet.study.config.values import find_problem, short_repr

# Given by options of other names, or of no use at a command line.
_NOT_OPTIONS = {"random_state", "verbose", "net_params", "warm_start", "image_shape"}


def add_commands(commands) -> None:
    """Add the three commands to the parser's."""
    data = commands.add_parser(
        "data",
        help="show or download the data sets",
        description="Show which data sets are here; with names, download those that are"
        " not. They are looked for in $SKLENET_DATA, or else in the user's cache.",
    )
    data.add_argument("names", nargs="*", metavar="NAME")
    add_output_options(data)
    data.set_defaults(run=_data)

    fit = commands.add_parser(
        "fit",
        help="train a network and save it",
        description="Train on a data set, or on a folder of images with one sub-folder per"
        " class, score the test set of a data set, and save the model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    fit.add_argument(
        "--data",
        required=True,
        help=f"{', '.join(DATASETS)}, or a folder of images",
    )
    fit.add_argument("--out", type=Path, required=True, help="the file of the model")
    fit.add_argument("--seed", type=int, default=0, help="the random_state")
    fit.add_argument(
        "--size", type=int, default=28, help="the side that a folder's images are fitted to"
    )
    fit.add_argument("--colour", action="store_true", help="read a folder in colour")
    parameters = fit.add_argument_group(
        "parameters of LeNet5Classifier",
        "Lists and tables are written as in TOML: --augment '[\"invert\", {shift = 2}]'.",
    )
    explained = _explain_parameters()
    for name, default in LeNet5Classifier().get_params().items():
        if name not in _NOT_OPTIONS:
            parameters.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"p_{name}",
                metavar="VALUE",
                type=_value,
                default=default,
                help=explained[name].replace("%", "%%"),
            )
    add_output_options(fit)
    fit.set_defaults(run=_fit)

    predict = commands.add_parser(
        "predict",
        help="classify images with a saved model",
        description="Classify image files with a saved model. Every file is read as the"
        " images that the model was trained on: whole, or, by models of handwritten digits,"
        " one digit on a plain page, dark on bright or bright on dark. A model file holds"
        " data only; loading it executes nothing.",
        epilog="If some of the images cannot be read, the others are classified, the errors"
        " are printed to stderr (with --json also to stdout), and the exit code is 1; it is"
        " 2 if none can be read.",
    )
    predict.add_argument(
        "model", type=Path, metavar="MODEL", help="model file written by `sklenet fit`"
    )
    predict.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="image file: PNG, JPEG, WebP, TIFF, BMP, GIF and other formats",
    )
    predict.add_argument(
        "--framing",
        choices=["digit", "whole", "line"],
        help="how to read the images, instead of what is saved with the model: 'digit'"
        " finds the one figure on a page and frames it like MNIST's digits, 'line' does so"
        " with every figure from left to right, and 'whole' takes the image as it is",
    )
    add_output_options(predict)
    predict.set_defaults(run=_predict)


def _explain_parameters() -> dict[str, str]:
    """Return the names to choose from, and the first sentence, of the docstring."""
    section = (inspect.getdoc(LeNet5Classifier) or "").split("Attributes\n---")[0]
    explained = {}
    for entry in re.split(r"\n(?=\w+ : )", section)[1:]:
        name = entry.split(" : ")[0]
        lines = [line.strip() for line in entry.split("\n    ")[1:] if line[:1] != " "]
        sentence = re.split(r"(?<=[.;])\s", " ".join(lines), maxsplit=1)[0]
        kind = re.split(r"\n(?=    \S)", entry.replace("\\\n", ""))[0]
        choices = ", ".join(re.findall(r'"(\w+)"', kind.split("default=")[0]))
        explained[name] = sentence.rstrip(".;").replace("`", "")
        if choices:
            explained[name] += f": {choices}"
    return explained


def _value(text: str):
    """Return what `text` is in TOML, or else the text itself."""
    if text == "none":
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        try:
            value = float(text)  # ".01" is no number in TOML
        except ValueError:
            value = text
    problem = find_problem(value, finite=False)
    if problem:
        raise argparse.ArgumentTypeError(f"{short_repr(value)} {problem[1]}")
    return value


def _data(arguments) -> int:
    for name in arguments.names:
        get_dataset(name)
    rows: dict[str, dict] = {}
    for name in DATASETS:
        asked = name in arguments.names
        try:
            counts = {
                subset: len(load_dataset(name, subset, download_if_missing=asked).target)
                for subset in ("train", "test")
            }
        except OSError as error:
            if asked:
                raise
            rows[name] = {"here": False, "why": str(error).splitlines()[0]}
        else:
            rows[name] = {"here": True, **counts}
    lines = [
        f"{name:15} {row['train']:,} training and {row['test']:,} test images"
        if row["here"]
        else f"{name:15} not here: sklenet data {name}"
        for name, row in rows.items()
    ]
    show(arguments, "\n".join(lines), rows)
    return 0


def _fit(arguments) -> int:
    tell = teller(arguments)
    classifier = LeNet5Classifier(
        **{k[2:]: v for k, v in vars(arguments).items() if k.startswith("p_")},
        random_state=arguments.seed,
        verbose=not arguments.quiet,
    )
    classifier.check_parameters()
    # Whatever would keep the model from being saved is found before training.
    _check_out(arguments.out)
    if classifier.framing is None:
        dataset = DATASETS.get(arguments.data)  # None for a folder of images
        classifier.framing = "whole" if dataset is None else dataset.framing
    X, y, test = _training_data(arguments, classifier.framing)
    check_labels(np.unique(y))
    tell(f"training on {len(y):,} images of {arguments.data}")
    interrupt = None
    with redirect_stdout(sys.stderr):
        try:
            classifier.fit(X, y)
        except KeyboardInterrupt as error:
            if not hasattr(classifier, "net_"):  # no epoch has finished
                raise
            interrupt = error
    classifier.verbose = 0
    classifier.save(arguments.out)
    last = classifier.history_[-1]
    values = {
        "model": str(arguments.out),
        "epochs": classifier.n_iter_,
        "interrupted": classifier.interrupted_,
        "train_accuracy": last["train_accuracy"],
        "test_accuracy": None,
        "n_parameters": sum(p.numel() for p in classifier.module_.parameters()),
    }
    text = f"{arguments.out}: {classifier.n_iter_} epochs"
    if interrupt is not None:
        if classifier.interrupted_:
            text = f"{arguments.out}: interrupted after {classifier.n_iter_} of"
            text += f" {classifier.max_epochs} epochs"
        show(arguments, text, values)
        raise interrupt
    if test is not None:
        values["test_accuracy"] = float(classifier.score(*test))
        text += f", test accuracy {values['test_accuracy']:.4f} on {len(test[1]):,} images"
    show(arguments, text, values)
    return 0


def _check_out(path: Path) -> None:
    """Check that ``--out`` can be written as a regular file."""
    if not path.parent.is_dir():
        raise ValueError(f"--out {path}: there is no folder {path.parent}.")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError(
            f"--out {path}: no file can be written there ({error.strerror})."
        ) from error


def _training_data(arguments, framing: str):
    """Return X, y and, for a data set, the test images and labels."""
    if arguments.data in DATASETS:
        (X, y), test = (
            load_dataset(arguments.data, subset, return_X_y=True)
            for subset in ("train", "test")
        )
        return X, y, test
    if not Path(arguments.data).is_dir():
        raise ValueError(
            f"--data {arguments.data}: neither a data set ({', '.join(DATASETS)}) nor a"
            " folder."
        )
    side = arguments.size
    shape = (3, side, side) if arguments.colour else (side, side)
    # As `sklenet predict` reads the same files.
    images = load_folder(
        arguments.data,
        shape,
        on_error="raise",
        return_X_y=False,
        read=partial(read_image, framing=framing),
    )
    return images.images, images.target, None


def _predict(arguments) -> int:
    if not arguments.model.is_file():
        raise ValueError(f"{arguments.model}: no such file. `sklenet fit --out` makes one.")
    classifier = LeNet5Classifier.load(arguments.model)
    shape = classifier.image_shape_
    framing = arguments.framing or classifier.framing
    if framing is None:
        framing = assume_framing(shape, classifier.classes_)
        teller(arguments)(
            f"sklenet: the model does not say how its images were framed; assuming"
            f" {framing!r}. Pass --framing, or train it with LeNet5Classifier(framing=...)."
        )
    rows, lines, n_errors = [], [], 0
    for path in arguments.images:
        try:
            if framing == "line":
                X = read_line(path, shape)
            else:
                # What is asked for is done at every size; a model's own framing leaves
                # images of its size as they were in training.
                always = arguments.framing is not None
                X = read_image(path, shape, framing=framing, always=always)[None]
        except ValueError as error:
            n_errors += 1
            reason = str(error).removeprefix(f"{make_printable(path)}: ")
            rows.append({"image": str(path), "error": reason})
            print(f"sklenet: error: {error}", file=sys.stderr)
            continue
        probabilities = _probabilities(classifier, X)
        if framing == "line":
            row, line = _describe_line(classifier, probabilities)
        else:
            row, line = _describe(classifier, probabilities[0])
        rows.append({"image": str(path)} | row)
        lines.append(f"{make_printable(path)}: {line}")
    show(arguments, "\n".join(lines), {"framing": framing, "predictions": rows})
    if n_errors == len(arguments.images):
        return 2
    return 1 if n_errors else 0


def _probabilities(classifier, X: np.ndarray) -> np.ndarray:
    """Return the probabilities of images of bytes, on the scale of the training data."""
    low, high = classifier.pixel_range_
    # Bytes, though not all of them need have occurred. The embedded digits go from 0 to 16,
    # and other models may have been trained on numbers from 0 to 1.
    if not (low >= 0 and 16 < high <= 255):
        X = low + X / 255 * (high - low)
    return classifier.predict_proba(X)


def _describe(classifier, probabilities: np.ndarray) -> tuple[dict, str]:
    """Return the prediction for one image, for JSON and as text."""
    labels = classifier.classes_.tolist()
    order = np.argsort(-probabilities)
    best, second = (
        f"{make_printable(labels[k])} ({probabilities[k]:.3f})" for k in order[:2]
    )
    by_label = dict(zip(map(str, labels), probabilities.tolist(), strict=True))
    row = {"label": labels[order[0]], "probabilities": by_label}
    return row, f"{best}, else {second}"


def _describe_line(classifier, probabilities: np.ndarray) -> tuple[dict, str]:
    """Return the predictions for the figures of one line, for JSON and as text."""
    figures = [_describe(classifier, row)[0] for row in probabilities]
    label = "".join(str(figure["label"]) for figure in figures)
    each = ", ".join(
        f"{make_printable(figure['label'])} {max(figure['probabilities'].values()):.3f}"
        for figure in figures
    )
    return {"label": label, "figures": figures}, f"{make_printable(label)} ({each})"
