"""Train the networks that ``sklenet.load_pretrained`` loads.

    SKLENET_DATA=FOLDER python benchmarks/measure/pretrain.py [NAME...]

For each dataset, this is the last rung of the ladder or, for Fashion-MNIST, the one before
it, which differs in the views only; for "lecun1998", the setting "as in 1998" of the study
of the 1998 network. The setting is read from the study file, and trained once more with the
seed whose recorded test accuracy is the median, so that the network is a typical one and
not the luckiest. It is saved in the package without the views of its setting, which
multiply the time of a prediction. Its test accuracies with and without them are recorded in
``benchmarks/results/pretrained/records.jsonl``. Running the command again replaces the
network. A training takes 8 to 20 minutes.
"""

import argparse
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets.registry import DATASETS
from sklenet.pretrained import FOLDER
from sklenet.study.config.read import read_study
from sklenet.study.engine.data import load_data
from sklenet.study.engine.fit import clone_with_seed
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.plan import plan_jobs
from sklenet.study.engine.provenance import collect_provenance
from sklenet.study.report.results import Results

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "benchmarks" / "studies"
RESULTS = ROOT / "benchmarks" / "results"
RECORDS = RESULTS / "pretrained" / "records.jsonl"


class Source(NamedTuple):
    """The setting of a study that a network is taken from.

    Parameters
    ----------
    data, study, setting : str
        Names of the dataset, the study and its setting.
    """

    data: str
    study: str
    setting: str


SOURCES = {
    "mnist": Source("mnist", "ladder", "weight decay 0.05"),
    "fashion_mnist": Source("fashion_mnist", "ladder", "120 epochs"),
    "cifar10": Source("cifar10", "ladder_colour", "240 epochs"),
    "lecun1998": Source("mnist", "lecun1998", "as in 1998"),
}


class Choice(NamedTuple):
    """The fit of a study that is repeated.

    Parameters
    ----------
    data, study, setting : str
        Names of the dataset, the study and its setting.
    seed : int
        Seed with the median test accuracy.
    recorded : float
        Test accuracy of this seed in the records of the study.
    mean : float
        Mean test accuracy of all seeds.
    n_seeds : int
        Number of seeds.
    """

    data: str
    study: str
    setting: str
    seed: int
    recorded: float
    mean: float
    n_seeds: int


def choose(name: str) -> Choice:
    """Choose the setting and the seed of a network from the records of its study."""
    data, study, setting = SOURCES[name]
    fits = Results(RESULTS / study).fits
    seeds = fits[(fits["data"] == data) & (fits["setting"] == setting)]
    seeds = seeds.sort_values(["test_accuracy", "seed"])
    median = seeds.iloc[(len(seeds) - 1) // 2]
    return Choice(
        data,
        study,
        setting,
        int(median["seed"]),
        float(median["test_accuracy"]),
        float(seeds["test_accuracy"].mean()),
        len(seeds),
    )


def make_pipeline(choice: Choice) -> Pipeline:
    """Return the unfitted pipeline of a choice, as its study file describes it."""
    study = read_study(STUDIES / f"{choice.study}.toml")
    (pipeline,) = (
        job.pipeline
        for job in plan_jobs(study, choice.data)
        if (job.setting, job.seed) == (choice.setting, choice.seed)
    )
    pipeline = clone_with_seed(pipeline, choice.seed)
    pipeline[-1].set_params(framing=DATASETS[choice.data].framing)
    return pipeline


def fold_scaler(pipeline: Pipeline) -> LeNet5Classifier:
    """Return a fitted pipeline as one classifier, with its scaler folded into C1.

    A scaled pixel is ``x * scale + black``. C1 is linear: ``w * (x * scale + black) + b``
    is a convolution of x with the kernel ``w * scale`` and the bias
    ``b + sum(w * black)``. This requires images that fill the canvas, because the scaler
    does not apply to the border around smaller ones. The border of shifted views is black
    instead of 0 after scaling, the mean of the pixels.
    """
    *scalers, classifier = (step for _, step in pipeline.steps)
    if not scalers:
        return classifier
    (scaler,) = scalers
    canvas = classifier.canvas_
    if canvas.feature_range is not None or canvas.shape != canvas.image_shape:
        raise ValueError("A scaler can only be folded into images that fill the canvas.")
    state = classifier.__getstate__()
    weights = state["net_state"]["module"]
    black = scaler.transform(np.zeros((1, scaler.n_features_in_)))
    black = black.reshape(1, canvas.image_shape[0], -1)[:, :, :1, None]
    kernels = weights["features.C1.weight"].astype(np.float64)
    bias = weights["features.C1.bias"] + (kernels * black).sum(axis=(1, 2, 3))
    kernels *= scaler.scale_[None, :, None, None]
    weights["features.C1.weight"] = kernels.astype(np.float32)
    weights["features.C1.bias"] = bias.astype(np.float32)
    state["pixel_range_"] = (0.0, 255.0)
    folded = LeNet5Classifier()
    folded.__setstate__(state)
    return folded


def train(name: str) -> dict:
    """Train a network, save it in the package, and return its record."""
    choice = choose(name)
    print(f"{name}: {choice}", flush=True)
    X, y = load_data(DATASETS[choice.data], "train")
    X_test, y_test = load_data(DATASETS[choice.data], "test")
    fitted = make_pipeline(choice).fit(X, y)
    accuracy = float(fitted.score(X_test, y_test))
    views = fitted[-1].views
    classifier = fold_scaler(fitted).set_params(views=None)
    # Without the state of the optimizer, which is twice as large as the weights.
    classifier.net_.optimizer_.state.clear()
    path = FOLDER / f"{name}.sklenet"
    classifier.save(path)
    loaded = LeNet5Classifier.load(path)
    test_accuracy = float(loaded.score(X_test, y_test))
    return {
        "kind": "model",
        "name": name,
        **choice._asdict(),
        "views": views,
        "trained_accuracy": accuracy,
        "test_accuracy": test_accuracy,
        "views_accuracy": float(loaded.set_params(views=views).score(X_test, y_test)),
        "n_test": len(y_test),
        "n_parameters": sum(p.numel() for p in loaded.module_.parameters()),
        "epochs": loaded.n_iter_,
        "seconds": sum(row["seconds"] for row in loaded.history_),
        "n_bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def write_record(record: dict) -> None:
    """Replace the record of a network, with the run it was made in."""
    journal = Journal(RECORDS)
    kept = [old for old in journal if old["name"] != record["name"]]
    RECORDS.unlink(missing_ok=True)
    for each in [*kept, record | {"run": collect_provenance()}]:
        journal.append(each)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {list(SOURCES)}")
    for each in parser.parse_args().names or SOURCES:
        new = train(each)
        write_record(new)
        print(new, flush=True)
