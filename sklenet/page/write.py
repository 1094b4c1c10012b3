"""Write trained networks as one HTML page on which a digit can be drawn."""

import base64
import html
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from sklenet._utils.printable import make_printable
from sklenet._utils.writing import check_writable, write_file
from sklenet.datasets import load_digits
from sklenet.framing import frame_digit
from sklenet.images.shapes import flatten_images, to_images
from sklenet.page.describe import describe_model

_SCRIPTS = (
    *("grids", "paper", "lines", "digits", "network"),
    *("source", "disturb", "pad", "view", "model", "main"),
)

# Name, label, smallest and largest value, step, and the value without a disturbance.
_SLIDERS = (
    ("rotate", "Rotate", -90, 90, 1, 0),
    ("right", "Shift right", -10, 10, 0.5, 0),
    ("down", "Shift down", -10, 10, 0.5, 0),
    ("scale", "Scale", 0.4, 1.6, 0.02, 1),
    ("squeeze", "Squeeze", 0.4, 2.5, 0.02, 1),
    ("thickness", "Thickness", -2, 3, 0.1, 0),
    ("noise", "Noise", 0, 128, 1, 0),
)


class Page:
    """An HTML page that notebooks show in an output cell.

    Parameters
    ----------
    text : str
        Text of the HTML file.

    Attributes
    ----------
    text : str
        Text of the HTML file.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<Page of {len(self.text) // 1000:,} kB>"

    def _repr_html_(self) -> str:
        # The frame keeps the styles and names of the page apart from those of the notebook,
        # and its scripts away from the notebook's content.
        return (
            '<iframe title="Networks to draw on" sandbox="allow-scripts" loading="lazy"'
            ' style="width: 100%; height: 720px; border: 1px solid #8888"'
            f' srcdoc="{html.escape(self.text)}"></iframe>'
        )


def write_page(
    models: Mapping[str, Any],
    path=None,
    *,
    examples=None,
    labels: Sequence | None = None,
    title: str = "LeNet-5, live",
) -> Page | None:
    """Write trained networks as one HTML page on which a digit can be drawn.

    The page computes the networks itself: it needs no server and makes no request. Drawings
    and photos are framed as ``sklenet predict`` frames image files.

    Parameters
    ----------
    models : dict of {str: LeNet5Classifier or dict of {str: LeNet5Classifier}}
        Fitted estimators by the heading they have on the page. Several are shown side by
        side. A dict of estimators holds several states of one training, such as
        ``{"epoch 1": first, "epoch 10": last}``, which become a slider.
    path : str or path-like, default=None
        Path of the HTML file, whose size is about 350 kB per estimator with the default
        architecture. If None, nothing is written, and the page is returned.
    examples : array-like of shape (n, features), (n, h, w) or (n, c, h, w), default=None
        A few images to choose from, in the range and shape of the first estimator's
        training data. If None, the page has ten of the digits that scikit-learn ships,
        provided that the estimators read digits.
    labels : sequence of length n, default=None
        Labels of the examples, shown to the reader.
    title : str, default="LeNet-5, live"
        Heading of the page.

    Returns
    -------
    page : Page or None
        If `path` is None, the page. As the last value of a cell, it is shown in the
        notebook.

    Raises
    ------
    NotFittedError
        If an estimator is not fitted.
    ValueError
        If `models` is empty, an estimator has a layer that the page cannot compute, or
        `labels` is not as long as `examples`.
    OSError
        If `path` is not a regular file or cannot be written.
    """
    if not models:
        raise ValueError("The 'models' are empty; expected at least one fitted estimator.")
    if path is not None:
        check_writable(path)
    groups: list[dict[str, Any]] = [
        {"name": make_printable(name), "states": _describe_states(name, model)}
        for name, model in models.items()
    ]
    first = groups[0]["states"][0]
    if examples is not None:
        shown = _read_examples(examples, labels, first)
    else:
        shown = _make_examples(first)
    text = _render(title, {"groups": groups, "examples": shown})
    if path is None:
        return Page(text)
    write_file(path, text.encode())
    return None


def _describe_states(name: str, model) -> list[dict]:
    states = model if isinstance(model, Mapping) else {name: model}
    if not states:
        raise ValueError(f"The model {name!r} has no states; expected fitted estimators.")
    return [describe_model(state, str(label)) for label, state in states.items()]


def _read_examples(examples, labels, description: dict) -> list[dict]:
    """Return examples as bytes, on the scale of image files."""
    shape = tuple(description["image_shape"])
    X, _ = flatten_images(examples, shape)
    X = np.asarray(X)
    if labels is not None and len(labels) != len(X):
        raise ValueError(
            f"The 'labels' must be as many as the 'examples', {len(X)}. Got {len(labels)}."
        )
    canvas = description["canvas"]
    if not description["takes_bytes"]:
        X = (X - canvas["low"]) / ((canvas["high"] - canvas["low"]) or 1) * 255
    images = to_images(X.clip(0, 255).round().astype(np.uint8), shape)
    names = range(1, len(X) + 1) if labels is None else labels
    return [
        _encode_example(image, label) for image, label in zip(images, names, strict=True)
    ]


def _make_examples(description: dict) -> list[dict]:
    """Return one of scikit-learn's digits of each class, if the model reads digits."""
    if description["framing"] != "digit":
        return []
    X, y = load_digits(subset="test", return_X_y=True)
    size = tuple(description["image_shape"][1:])
    images = []
    for digit in range(10):
        pixels = X[y == digit][0].reshape(8, 8) / 16 * 255
        # Enlarged, and with a margin, it is framed as a drawing would be.
        page = np.pad(np.kron(pixels, np.ones((12, 12))), 24).astype(np.uint8)
        images.append(_encode_example(frame_digit(page, size)[None], digit))
    return images


def _encode_example(image: np.ndarray, label) -> dict:
    pixels = base64.b64encode(image.astype(np.uint8).tobytes()).decode("ascii")
    return {"shape": list(image.shape), "pixels": pixels, "label": make_printable(label)}


def _render(title: str, content: dict) -> str:
    folder = importlib.resources.files("sklenet.page")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    script = "\n".join((folder / f"js/{name}.js").read_text("utf-8") for name in _SCRIPTS)
    # "<" could end the element that the JSON is in.
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return template.render(
        title=make_printable(title),
        style=Markup((folder / "style.css").read_text("utf-8")),
        script=Markup(script),
        content=Markup(text),
        sliders=_SLIDERS,
    )
