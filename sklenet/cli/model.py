"""``sklenet fit`` and ``sklenet predict``."""

import argparse
import inspect
import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from sklenet._utils.printable import make_printable
from sklenet._utils.writing import write_file
from sklenet.cli.data import add_data_options, list_inputs, load_fit_data
from sklenet.cli.output import (
    add_output_options,
    check_out,
    print_progress,
    print_results,
    write_text,
)
from sklenet.cli.parser import parse_value
from sklenet.datasets.registry import DATASETS
from sklenet.estimator import LeNet5Classifier
from sklenet.framing import assume_framing
from sklenet.framing.read import read_digits
from sklenet.persistence.format import check_labels
from sklenet.study.config.errors import BadKey
from sklenet.study.engine.data import Sample, check_subset_size, draw_rows

# Parameters that are set by other options or that have no use on the command line.
_NOT_OPTIONS = {"random_state", "verbose", "net_params", "warm_start", "image_shape"}

_FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


def add_commands(commands) -> None:
    """Add the commands ``fit`` and ``predict`` to the subparsers of a parser."""
    _add_fit(commands)
    _add_predict(commands)


def _add_fit(commands) -> None:
    fit = commands.add_parser(
        "fit",
        help="train a model and save it",
        description="Train a LeNet5Classifier on a dataset, a folder of images with one"
        " subfolder per class, or a CSV, Parquet or .npz file, and save it. The accuracy on"
        " the test set, if there is one, is reported.",
    )
    fit.add_argument(
        "--data",
        required=True,
        help=f"dataset ({', '.join(DATASETS)}), folder of images, CSV, Parquet or .npz"
        " file, or openml:NAME",
    )
    fit.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="file to save the model to"
    )
    fit.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    fit.add_argument(
        "--n-train",
        type=int,
        metavar="N",
        help="train on a stratified random sample of N training images",
    )
    add_data_options(fit)
    parameters = fit.add_argument_group(
        "parameters of LeNet5Classifier",
        "Lists and tables are written as in TOML: --augment '[\"invert\", {shift = 2}]'.",
    )
    descriptions = _describe_parameters()
    for name, default in LeNet5Classifier().get_params().items():
        if name not in _NOT_OPTIONS:
            text = f"{descriptions[name]} (default: {_format_value(default)})"
            parameters.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"p_{name}",
                metavar="VALUE",
                type=parse_value,
                default=default,
                help=text.replace("%", "%%"),
            )
    add_output_options(fit)
    fit.set_defaults(run=_run_fit)


def _add_predict(commands) -> None:
    predict = commands.add_parser(
        "predict",
        help="classify images with a saved model",
        description="Classify image files with a saved model. Each file is read in the same"
        " way as the images on which the model was trained: as a whole or, for models of"
        " handwritten digits, as one digit on a plain page, dark on bright or bright on"
        " dark. A model file contains only data; loading it executes nothing.",
        epilog="If some of the images cannot be read, the others are classified, the errors"
        " are printed to stderr (with --json also to stdout), and the exit status is 1. If"
        " none can be read, it is 2.",
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
        help="how to read the images, instead of the framing saved with the model: 'digit'"
        " finds the one digit on a page and frames it like the digits of MNIST, 'line' does"
        " so with every digit from left to right, and 'whole' uses the whole image",
    )
    predict.add_argument(
        "--views",
        metavar="VALUE",
        type=parse_value,
        default=argparse.SUPPRESS,  # None is a value
        help="views of each image over which probabilities are averaged, instead of those"
        ' saved with the model, written as in TOML: none, flip, shift or \'["flip", {shift'
        " = 2}]'",
    )
    predict.add_argument(
        "--show",
        type=Path,
        metavar="FILE",
        help="also write a figure (PNG, PDF or SVG) with each image, the digits that were"
        " found in it, what the network was given, and the probabilities",
    )
    add_output_options(predict)
    predict.set_defaults(run=_run_predict)


def _describe_parameters() -> dict[str, str]:
    """Return a help text for each parameter of LeNet5Classifier.

    It is the first sentence of the parameter's description in the docstring, followed by
    the names that the parameter may have as its value.
    """
    section = (inspect.getdoc(LeNet5Classifier) or "").split("Attributes\n---")[0]
    descriptions = {}
    for entry in re.split(r"\n(?=\w+ : )", section)[1:]:
        name = entry.split(" : ")[0]
        lines = [line.strip() for line in entry.split("\n    ")[1:] if line[:1] != " "]
        sentence = re.split(r"(?<=[.;])\s", " ".join(lines), maxsplit=1)[0]
        sentence = re.sub(r":\w+:`~?([^`]*)`", r"\1", sentence)  # cross-references
        kind = re.split(r"\n(?=    \S)", entry.replace("\\\n", ""))[0]
        names = ", ".join(re.findall(r'"(\w+)"', kind.split("default=")[0]))
        descriptions[name] = sentence.rstrip(".;").replace("`", "")
        if names:
            descriptions[name] += f": {names}"
    return descriptions


def _format_value(value) -> str:
    """Return the text for which `parse_value` returns a parameter's value."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _run_fit(arguments) -> int:
    classifier = LeNet5Classifier(
        **{k[2:]: v for k, v in vars(arguments).items() if k.startswith("p_")},
        random_state=arguments.seed,
        verbose=not arguments.quiet,
    )
    # Everything that would prevent the model from being saved is checked before training.
    classifier.check_parameters()
    check_out(arguments.out, list_inputs(arguments))
    if classifier.framing is None:
        dataset = DATASETS.get(arguments.data)  # None for a folder of images
        classifier.framing = "whole" if dataset is None else dataset.framing
    X, y, test = load_fit_data(arguments, classifier.framing)
    check_labels(np.unique(y))
    if arguments.n_train is not None:
        rows = _draw_rows(arguments, y)
        X, y = X[rows], y[rows]
    print_progress(arguments, f"training on {len(y):,} images of {arguments.data}")
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
    tested = test if interrupt is None else None
    test_accuracy = None if tested is None else float(classifier.score(*tested))
    # Early stopping, the only reason for a best epoch here, has restored its weights.
    epoch = classifier.best_epoch_ or classifier.n_iter_
    valid_accuracy = classifier.history_[epoch - 1].get("valid_accuracy")
    values = {
        "model": str(arguments.out),
        "epochs": classifier.n_iter_,
        "interrupted": classifier.interrupted_,
        "train_accuracy": classifier.history_[-1]["train_accuracy"],
        "valid_accuracy": valid_accuracy,
        "test_accuracy": test_accuracy,
        "n_parameters": sum(p.numel() for p in classifier.module_.parameters()),
    }
    text = f"{arguments.out}: {classifier.n_iter_} epochs"
    if classifier.interrupted_:
        text = f"{arguments.out}: interrupted after {classifier.n_iter_} of"
        text += f" {classifier.max_epochs} epochs"
    if valid_accuracy is not None:
        text += f", validation accuracy {valid_accuracy:.4f}"
    if tested is not None:
        text += f", test accuracy {test_accuracy:.4f} on {len(tested[1]):,} images"
    print_results(arguments, text, values)
    if interrupt is not None:
        raise interrupt
    return 0


def _draw_rows(arguments, y) -> np.ndarray:
    """Return the rows of the training images that ``--n-train`` asks for."""
    try:
        check_subset_size(arguments.data, y, arguments.n_train)
    except BadKey as error:
        raise ValueError(f"--n-train {error.message}") from None
    return draw_rows(y, Sample(arguments.n_train, 0))


def _run_predict(arguments) -> int:
    if not arguments.model.is_file():
        raise ValueError(f"{arguments.model}: no such file. `sklenet fit` writes one.")
    if arguments.show is not None:
        _check_show(arguments)
    classifier = LeNet5Classifier.load(arguments.model)
    if "views" in arguments:
        classifier.set_params(views=arguments.views).check_parameters()
    framing = arguments.framing or classifier.framing
    if framing is None:
        framing = assume_framing(classifier.image_shape_, classifier.classes_)
        print_progress(
            arguments,
            "sklenet: no framing of images is saved with the model; assuming"
            f" {framing!r}. Pass --framing, or train with LeNet5Classifier(framing=...).",
        )
    # A framing given by option is applied to images of any size. The framing of the model
    # leaves images that already have its size as they were in training.
    always = arguments.framing is not None
    values, lines = [], []
    for path in arguments.images:
        try:
            X = read_digits(path, classifier.image_shape_, framing=framing, always=always)
        except ValueError as error:
            reason = str(error).removeprefix(f"{make_printable(path)}: ")
            values.append({"image": str(path), "error": reason})
            write_text(f"sklenet: error: {error}", sys.stderr)
            continue
        probabilities = classifier.predict_proba(classifier.canvas_.from_bytes(X))
        if framing == "line":
            prediction, line = _describe_line(classifier, probabilities)
        else:
            prediction, line = _describe_image(classifier, probabilities[0])
        values.append({"image": str(path)} | prediction)
        lines.append(f"{make_printable(path)}: {line}")
    results = {"framing": framing, "predictions": values}
    print_results(arguments, "\n".join(lines), results)
    if arguments.show is not None:
        _write_figure(arguments, classifier, framing, always)
    if not lines:
        return 2
    return 0 if len(lines) == len(values) else 1


def _check_show(arguments) -> None:
    """Raise a ValueError if the figure cannot be written, or would replace an input."""
    path = arguments.show
    if path.suffix.lower() not in _FIGURE_SUFFIXES:
        raise ValueError(
            f"--show {path}: the name must end in {', '.join(_FIGURE_SUFFIXES)}."
        )
    check_out(path, (arguments.model, *arguments.images), "--show")


def _write_figure(arguments, classifier, framing: str, always: bool) -> None:
    import matplotlib.pyplot as plt

    from sklenet.display import PredictionDisplay

    display = PredictionDisplay.from_files(
        classifier, arguments.images, framing=framing, always=always
    )
    content = io.BytesIO()
    display.figure_.savefig(content, format=arguments.show.suffix[1:].lower())
    plt.close(display.figure_)
    write_file(arguments.show, content.getvalue())
    n_omitted = len(arguments.images) - len(display.names)
    note = f", without the last {n_omitted} images" if n_omitted else ""
    print_progress(arguments, f"sklenet: wrote {arguments.show}{note}")


def _describe_image(classifier, probabilities: np.ndarray) -> tuple[dict, str]:
    """Return the prediction for one image, as values for JSON and as text."""
    labels = classifier.classes_.tolist()
    order = np.argsort(-probabilities)
    best, second = (
        f"{make_printable(labels[k])} ({probabilities[k]:.3f})" for k in order[:2]
    )
    by_label = dict(zip(map(str, labels), probabilities.tolist(), strict=True))
    values = {"label": labels[order[0]], "probabilities": by_label}
    return values, f"{best}, else {second}"


def _describe_line(classifier, probabilities: np.ndarray) -> tuple[dict, str]:
    """Return the predictions for the digits of one line, as values for JSON and as text."""
    digits = [_describe_image(classifier, row)[0] for row in probabilities]
    label = "".join(str(digit["label"]) for digit in digits)
    each = ", ".join(
        f"{make_printable(digit['label'])} {max(digit['probabilities'].values()):.3f}"
        for digit in digits
    )
    return {"label": label, "figures": digits}, f"{make_printable(label)} ({each})"
