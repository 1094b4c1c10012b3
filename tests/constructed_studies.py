"""Records of finished searches with constructed scores, whose effects are known."""

import json
from pathlib import Path

import four_factors
import numpy as np
from scipy import stats
from sklearn.model_selection import ParameterGrid

from sklenet.study import read_study
from sklenet.study.engine.plan import hash_search
from sklenet.study.engine.records import RECORDS
from sklenet.study.report.results import Results

HEAD = """
title = "t"
data = ["mnist", "cifar10"]
n_train = 60
seeds = [0, 1]
{steps}
[estimator]
optimizer = "adamw"
lr = 0.003
lr_schedule = "one_cycle"
batch_size = 64
max_epochs = 5
[search]
cv = 3
[search.grid]
"""
GRID = """
activation = ["relu", "gelu", "sigmoid"]
pooling = ["max", "avg"]
init = ["he_uniform", "xavier_uniform"]
weight_decay = [0.0, 0.1]
"""
WITH_INVERSION = """
activation = ["relu", "gelu"]
pooling = ["max", "avg"]
inverter = ["passthrough", "Inverter"]
"""
STEPS = 'steps = [{ transformer = "Inverter", maximum = 255 }]'

# Effects in points: on MNIST the activation matters most, on CIFAR-10 the pooling, whose
# effect depends on the initial weights.
EFFECTS = {
    "mnist": {"gelu": 1.0, "sigmoid": -3.0, "avg": 0.5, "lecun_uniform": -40},
    "cifar10": {"gelu": 2.0, "sigmoid": -1.0, "avg": -8.0, "lecun_uniform": -20},
}
# Of the inversion, with each activation.
INVERSION = {
    "mnist": {"relu": -0.25, "gelu": -0.75},
    "cifar10": {"relu": 0.5, "gelu": 1.5},
}
RUN = {
    "kind": "run",
    "run": 1,
    "started": "2026-01-02T03:04:05",
    "versions": {"torch": "1", "skorch": "2", "scikit-learn": "3"},
    "machine": {"cpu": "a processor", "cores": 2},
    "revision": None,
}


def score_candidate(data, params):
    """Return the accuracies on three folds, whose mean differences are the effects."""
    points = {"mnist": 90, "cifar10": 60}[data]
    points += sum(EFFECTS[data].get(str(value), 0) for value in params.values())
    if params.get("inverter") == "Inverter":
        points += INVERSION[data][params["activation"]]
    if data == "cifar10" and params["pooling"] == "avg":
        points += 4.0 * (params.get("init") == "xavier_uniform")
    return [(points + shift) / 100 for shift in (-0.5, 0, 0.5)]


def write_study(folder, name, text, collapsed=()):
    """Write the records of a finished search with constructed scores."""
    (folder / f"{name}.toml").write_text(f'name = "{name}"\n{text}')
    study = read_study(folder / f"{name}.toml")
    records = [{"kind": "study", "study": study.to_record()}, RUN]
    grid = {key: list(values) for key, values in study.search.grid.items()}
    candidates = list(ParameterGrid(grid))
    for data in study.data:
        folds = np.array([score_candidate(data, params) for params in candidates])
        for k in collapsed:
            folds[k] = 0.1
        means = folds.mean(axis=1)
        columns = {f"split{k}_test_score": column for k, column in enumerate(folds.T)}
        columns |= {"mean_test_score": means}
        columns |= {"rank_test_score": stats.rankdata(-means, method="min").astype(int)}
        results = {key: column.tolist() for key, column in columns.items()}
        results |= {"params": candidates}
        results |= {f"param_{key}": [params[key] for params in candidates] for key in grid}
        record = {"kind": "search", "of": hash_search(study, data), "data": data}
        records.append(record | {"best": int(means.argmax()), "cv_results": results})
        for k, score in enumerate(folds.ravel()):
            record = {"kind": "fold", "key": f"{data}-{k}", "data": data, "run": 1}
            record |= {"n_train": 40, "cpu_seconds": 36.0, "scores": {"accuracy": score}}
            records.append(record | {"params": {}})
    (folder / name).mkdir()
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / name / RECORDS).write_text("".join(lines))
    return Results(folder / name)


def write_four_factors(folder: Path) -> Path:
    """Write a study of four factors and one with the inversion, and return their folder."""
    write_study(folder, four_factors.STUDY, HEAD.format(steps="") + GRID)
    text = HEAD.format(steps=STEPS) + WITH_INVERSION
    write_study(folder, four_factors.INVERSION, text)
    return folder
