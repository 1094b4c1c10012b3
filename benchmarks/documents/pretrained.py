"""Render ``docs/pretrained.md``: the trained networks that ship with the package."""

from origin import describe_run
from rendering import DOCS, read_records, render_template

from sklenet.datasets.registry import DATASETS

DOCUMENT = DOCS / "pretrained.md"


def render() -> str:
    """Return the document."""
    models = sorted(read_records("pretrained"), key=lambda model: model["name"])
    rows = [
        {
            "name": f"`{model['name']}`",
            "dataset": DATASETS[model["data"]].title,
            "study": f"`{model['study']}.toml`",
            "setting": model["setting"],
            "seed": str(model["seed"]),
            "test accuracy (%)": f"{100 * model['test_accuracy']:.2f}",
            "with the setting's views": (
                f"{100 * model['views_accuracy']:.2f}" if model.get("views") else ""
            ),
            "recorded, same seed": f"{100 * model['recorded']:.2f}",
            "recorded mean": f"{100 * model['mean']:.2f}",
            "kB": str(round(model["n_bytes"] / 1000)),
        }
        for model in models
    ]
    origins = [(f"`{model['name']}`", describe_run(model["run"])) for model in models]
    return render_template("pretrained.md", models=rows, origins=origins)
