"""Tables and pictures of a study's records."""

from pathlib import Path

import numpy as np
import pandas as pd

from sklenet.display import TrainingHistoryDisplay
from sklenet.study.journal import Journal
from sklenet.study.run import RECORDS

TABLE = "table.md"
CURVES = "learning_curves.png"


def load(folder) -> list[dict]:
    """Return the records of the study in `folder`."""
    return list(Journal(Path(folder) / RECORDS))


def report(folder) -> str:
    """Write the table and the learning curves of `folder`; return the table."""
    folder = Path(folder)
    records = load(folder)
    text = markdown(records)
    (folder / TABLE).write_text(text, encoding="utf-8")
    _plot(records, folder / CURVES)
    return text


def markdown(records: list[dict]) -> str:
    """Return the study's tables: its candidates, then its test figures."""
    run = records[0]
    parts = [f"**{run['study']['title']}**"]
    for data in run["study"]["data"]:
        candidates = _of(records, "candidate", data)
        if candidates:
            parts += [
                _candidate_intro(run, records, data),
                _candidate_table(candidates),
            ]
    parts += ["Trained on the whole training set, tested once per seed:"]
    parts += [test_table(records)]
    return "\n\n".join(parts) + "\n"


def test_table(records: list[dict]) -> str:
    """Return the table of test accuracies, published figures beside ours."""
    study = records[0]["study"]
    rows = []
    for data in study["data"]:
        fits = _of(records, "fit", data)
        accuracy = np.array([fit["test_accuracy"] for fit in fits])
        searched = (study["search"] or {"grid": {}})["grid"]
        setting = {key: fits[0]["params"][key] for key in searched or study["estimator"]}
        row = {
            "data": data,
            "setting": ", ".join(f"{k} {v}" for k, v in setting.items()) or "defaults",
            "test accuracy": f"{accuracy.mean():.4f}",
            "sd": f"{accuracy.std(ddof=1):.4f}" if len(fits) > 1 else "",
            "seeds": len(fits),
            "test images": f"{fits[0]['n_test']:,}",
            "epochs": _range([len(fit["history"]) for fit in fits]),
        }
        for figure in study["published"]:
            if figure["data"] == data:
                row[figure["source"]] = f"{figure['accuracy']:.4f}"
        rows.append(row)
    return _table(rows)


def _of(records, kind, data):
    return [r for r in records if r["kind"] == kind and r["data"] == data]


def _range(values):
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _candidate_intro(run, records, data):
    n = _of(records, "fit", data)[0]["n_train"]
    cv = run["study"]["search"]["cv"]
    return f"{data}: {cv}-fold cross-validation on the {n:,} training images:"


def _candidate_table(candidates):
    rows = [
        {
            "rank": candidate["rank"],
            **candidate["params"],
            "CV accuracy": f"{candidate['mean_accuracy']:.4f}",
            "sd over folds": f"{np.std(candidate['fold_accuracy'], ddof=1):.4f}",
        }
        for candidate in sorted(candidates, key=lambda candidate: candidate["rank"])
    ]
    return _table(rows)


def _table(rows):
    frame = pd.DataFrame(rows).fillna("")
    numeric = {"rank", "CV accuracy", "sd over folds"}
    numeric |= {"test accuracy", "sd", "seeds", "test images", "epochs"}
    align = ["right" if column in numeric else "left" for column in frame]
    return frame.to_markdown(index=False, colalign=align, disable_numparse=True)


def _plot(records, path):
    import matplotlib.pyplot as plt

    histories = {
        data: [fit["history"] for fit in _of(records, "fit", data)]
        for data in records[0]["study"]["data"]
    }
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    TrainingHistoryDisplay.from_histories(histories, ax=ax)
    ax.set_title(records[0]["study"]["title"], fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)
