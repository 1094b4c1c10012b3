"""``sklenet data``, ``sklenet fit`` and ``sklenet predict``."""

import argparse
import inspect
import re
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from sklenet._writing import check_writable
from sklenet.cli.output import add_output_options, show, teller
from sklenet.datasets import load_image_folder
from sklenet.estimator import LeNet5Classifier
from sklenet.framing import read_image
from sklenet.preprocessing import DarkBackground
from sklenet.saved import check_labels
from sklenet.study.fit import LOADERS
from sklenet.study.plain import find_problem, short_repr

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
        help=f"{', '.join(LOADERS)}, or a folder of images",
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
        help="what a saved network makes of images",
        description="Read images as a saved network wants them, and print its guesses. A"
        " grey image may be dark on bright or bright on dark. Loading a model executes"
        " nothing in its file.",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="of `sklenet fit`")
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    predict.add_argument(
        "--framing",
        choices=["digit", "whole"],
        default="digit",
        help="of grey images that are not of the network's size: find the one figure on a"
        " plain background and frame it as MNIST's are, or take the whole image",
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
        if name not in LOADERS:
            raise ValueError(f"no data set {name!r}. Known: {', '.join(LOADERS)}.")
    rows: dict[str, dict] = {}
    for name, loader in LOADERS.items():
        asked = name in arguments.names
        try:
            counts = {
                subset: len(_load(loader, subset, download=asked)[1])
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


def _load(loader, subset, download):
    options = {}
    if "download_if_missing" in inspect.signature(loader).parameters:
        options["download_if_missing"] = download
    return loader(subset=subset, return_X_y=True, **options)


def _fit(arguments) -> int:
    tell = teller(arguments)
    classifier = LeNet5Classifier(
        **{k[2:]: v for k, v in vars(arguments).items() if k.startswith("p_")},
        random_state=arguments.seed,
        verbose=not arguments.quiet,
    )
    classifier._check_parameters()
    # Whatever would keep the model from being saved is found before training.
    _check_out(arguments.out)
    X, y, test = _training_data(arguments)
    check_labels(np.unique(y))
    tell(f"training on {len(y):,} images of {arguments.data}")
    with redirect_stdout(sys.stderr):
        classifier.fit(X, y)
    classifier.verbose = 0
    classifier.save(arguments.out)
    last = classifier.history_[-1]
    values = {
        "model": str(arguments.out),
        "epochs": classifier.n_iter_,
        "train_accuracy": last["train_accuracy"],
        "test_accuracy": None,
        "n_parameters": sum(p.numel() for p in classifier.module_.parameters()),
    }
    text = f"{arguments.out}: {classifier.n_iter_} epochs"
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


def _training_data(arguments):
    """Return X, y and, of a data set, the test images; grey ones bright on dark."""
    if arguments.data in LOADERS:
        loader = LOADERS[arguments.data]
        (X, y), test = (loader(subset=s, return_X_y=True) for s in ("train", "test"))
        return X, y, test
    if not Path(arguments.data).is_dir():
        raise ValueError(
            f"--data {arguments.data}: neither a data set ({', '.join(LOADERS)}) nor a"
            " folder."
        )
    side = arguments.size
    shape = (3, side, side) if arguments.colour else (side, side)
    images = load_image_folder(arguments.data, image_shape=shape)
    X = images.images
    if not arguments.colour:
        X = DarkBackground(maximum=255).transform(X)
    return X, images.target, None


def _predict(arguments) -> int:
    if not arguments.model.is_file():
        raise ValueError(f"{arguments.model}: no such file. `sklenet fit --out` makes one.")
    classifier = LeNet5Classifier.load(arguments.model)
    shape = classifier.image_shape_
    X = np.stack(
        [read_image(path, shape, framing=arguments.framing) for path in arguments.images]
    )
    # The embedded digits count their pixels to 16, the others to 255.
    low, high = classifier.pixel_range_
    probabilities = classifier.predict_proba(low + X / 255 * (high - low))
    rows, lines = [], []
    for path, row in zip(arguments.images, probabilities, strict=True):
        order = np.argsort(-row)
        labels = classifier.classes_[order].tolist()
        best, second = (f"{labels[k]} ({row[order[k]]:.3f})" for k in (0, 1))
        lines.append(f"{path}: {best}, else {second}")
        values = dict(
            zip(map(str, classifier.classes_.tolist()), row.tolist(), strict=True)
        )
        rows.append({"image": str(path), "label": labels[0], "probabilities": values})
    show(arguments, "\n".join(lines), {"predictions": rows})
    return 0
