"""Render ``benchmarks/README.md``, and a page for each publication and each study.

``benchmarks/README.md`` is the index. The pages of the publications are in
``benchmarks/references/``, those of the studies are in their folders of results.
"""

from pathlib import Path

import pandas as pd
from origin import describe_runs
from references import describe_references
from rendering import RESULTS, ROOT, read_results, render_template

from sklenet.datasets.files import DatasetFiles
from sklenet.datasets.registry import DATASETS
from sklenet.study.report.figures import make_title
from sklenet.study.report.page import PAGE
from sklenet.study.report.results import Results
from sklenet.study.report.statistics import compute_class_metrics
from sklenet.study.report.tables import TABLE, render_tables

DOCUMENT = ROOT / "benchmarks" / "README.md"

# The figures that are committed, by the beginning of their names.
_FIGURES = (
    *("learning_curves", "train_size", "robustness"),
    *("main_effects", "variance", "heat_map"),
)

# Studies whose page is committed.
_WITH_PAGE = {"activation_study"}

# Studies of publications that report metrics per class.
_WITH_CLASS_METRICS = {"reference_c"}


def list_studies() -> list[str]:
    """Return the names of the studies with committed results."""
    return sorted(path.parent.name for path in RESULTS.glob(f"*/{TABLE}"))


def render_pages() -> dict[Path, str]:
    """Return the text of the index and of all pages."""
    names = list_studies()
    references = describe_references(names)
    studies = [_describe_study(name) for name in names]
    index = render_template("benchmarks.md", references=references, studies=studies)
    pages = {
        DOCUMENT.parent / "references" / reference["page"]: render_template(
            "reference.md", reference=reference
        )
        for reference in references
    }
    pages |= {
        RESULTS / study["name"] / "README.md": render_template("study.md", study=study)
        for study in studies
    }
    return {DOCUMENT: index} | pages


def _describe_study(name: str) -> dict:
    """Return the variables of the template for a study."""
    results = read_results(name)
    folder = results.folder
    return {
        "name": name,
        "title": results.study.title,
        "needs_download": _needs_download(results),
        "tables": render_tables(results).rstrip(),
        "classes": _describe_classes(results) if name in _WITH_CLASS_METRICS else None,
        "figures": [
            {"name": f"{kind}_{data}.png", "title": make_title(f"{kind}_{data}")}
            for kind in _FIGURES
            for data in results.study.data
            if (folder / f"{kind}_{data}.png").is_file()
        ],
        "origin": describe_runs(results),
        "page": PAGE if name in _WITH_PAGE else None,
    }


def _needs_download(results: Results) -> bool:
    """Return whether a study has datasets that are downloaded."""
    return any(
        data in DATASETS and isinstance(DATASETS[data].source, DatasetFiles)
        for data in results.study.data
    )


def _describe_classes(results: Results) -> dict:
    """Return the metrics per class and the confusion matrix of a study with one setting."""
    ((data, setting),) = {(r["data"], r["setting"]) for r in results.fit_records}
    confusion = results.confusion_matrix(data, setting)
    names = [str(label) for label in range(len(confusion))]
    metrics = compute_class_metrics(confusion, names).rename(columns={"f1": "F1"})
    for column in ("precision", "recall", "F1"):
        metrics[column] = metrics[column].map("{:.4f}".format)
    predictions = pd.DataFrame(confusion, columns=names)
    predictions.insert(0, "", names)
    return {
        "n_seeds": len(results.fit_records),
        "metrics": metrics,
        "confusion": predictions,
    }
