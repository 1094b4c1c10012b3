"""Render ``README.md``: what the alternatives have and lack, and the main results."""

import statistics

import pandas as pd
from four_factors import STUDY, describe_answer
from ladder import compute_rungs
from performance import read_groups
from rendering import ROOT, read_records, read_results, render_template

from sklenet.study.report.statistics import describe

DOCUMENT = ROOT / "README.md"

_OURS, _SKORCH, _MLP = "LeNet5Classifier", "skorch", "MLPClassifier"
_LOOP, _KERAS = "plain torch loop", "Keras"
_COLUMNS = (_OURS, _SKORCH, _MLP, _LOOP, _KERAS)

# The names of the contenders in the records of speed.py.
_CONTENDERS = {_OURS: "sklenet", _SKORCH: "skorch", _MLP: "mlp", _LOOP: "loop"}


def render() -> str:
    """Return the document."""
    fit = read_groups()["fit"]
    outcomes = read_records("conformance")
    best = compute_rungs(read_results("ladder"), "mnist").iloc[-1]
    return render_template(
        "README.md",
        comparison=_make_comparison(fit, outcomes),
        best=best,
        modern_1998=_describe_last_setting("lecun1998_modern"),
        answer=describe_answer(read_results(STUDY)),
        n_repeats=len(fit.ratios("sklenet", "loop")),
        ratios={name: fit.ratio("sklenet", name) for name in ("loop", "skorch")},
        checks=_count_passed(outcomes, "check", _OURS),
        wrappers=_count_passed(outcomes, "wrapper", _OURS),
    )


def _describe_last_setting(study: str) -> dict:
    """Return the test error of a study's last setting in percent, and its epochs."""
    fits = read_results(study).fits
    fits = fits[fits["setting"] == fits["setting"].iloc[-1]]
    errors = describe(100 * (1 - fits["test_accuracy"]), (0, 100))
    return errors | {"epochs": int(fits["epochs"].max())}


def _make_comparison(fit, outcomes: list[dict]) -> pd.DataFrame:
    """Return a row per feature and measurement; a cell without a record is empty."""
    rows: dict[str, dict[str, str]] = {}
    for record in read_records("features"):
        if record["kind"] == "feature":
            cell = "yes" if record["has"] else "no"
            rows.setdefault(record["name"], {})[record["classifier"]] = cell
    for kind, text in (
        ("check", "scikit-learn's estimator checks that pass"),
        ("wrapper", "meta-estimators and searches that work"),
    ):
        rows[text] = {
            column: "{} of {}".format(*_count_passed(outcomes, kind, name))
            for column, name in ((_OURS, _OURS), (_SKORCH, "NeuralNetClassifier"))
        }
    for field, text, form in (
        ("seconds", "MNIST, seconds per epoch", "{:.1f}"),
        ("peak_mb", "MNIST, peak memory in MB", "{:,.0f}"),
        ("accuracy", "MNIST, test accuracy after two epochs", "{:.4f}"),
    ):
        rows[text] = {
            column: form.format(statistics.median(fit.values(name, field)))
            for column, name in _CONTENDERS.items()
        }
    (keras, *_) = read_results("reference_b").study.published
    rows[text][_KERAS] = f"{keras.curves['valid_accuracy'][1]:.4f} (published)"
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(_COLUMNS))
    return table.fillna("").rename_axis("").reset_index()


def _count_passed(outcomes: list[dict], kind: str, classifier: str) -> tuple[int, int]:
    """Return the number of checks or wrappers that passed, and of all that were run."""
    statuses = [
        outcome["status"]
        for outcome in outcomes
        if outcome["kind"] == kind and outcome["classifier"] == classifier
    ]
    return statuses.count("passed"), len(statuses)
