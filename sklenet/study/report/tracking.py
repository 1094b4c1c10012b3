"""Records of a study, written to MLflow."""

import re
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from sklenet.study.config.errors import StudyError
from sklenet.study.config.values import format_label
from sklenet.study.engine.candidates import describe_candidate
from sklenet.study.report.results import Results

# Tag by which the run of a fit is found again.
_KEY = "sklenet.key"
# Characters that MLflow does not allow in names, and its limits per request.
_NOT_ALLOWED = re.compile(r"[^\w\-. /]", re.ASCII)
_MAX_METRICS, _MAX_PARAMS = 1000, 100
_MAX_LENGTH = 500


def write_to_mlflow(results: Results, uri: str) -> tuple[int, int]:
    """Write the fits of a study to MLflow, each as a run of an experiment.

    A run has the parameters of the classifier, the metrics per epoch, and the scores. The
    experiment has the name of the study. Fits that have been written before are not
    written again.

    Parameters
    ----------
    results : Results
    uri : str
        Tracking URI of MLflow, such as ``"http://localhost:5000"`` or
        ``"sqlite:///mlflow.db"``.

    Returns
    -------
    n_written, n_found : int
        Number of fits that were written, and of those that were there already.

    Raises
    ------
    StudyError
        If MLflow is not installed, or cannot write to `uri`.
    """
    if find_spec("mlflow") is None:
        raise StudyError("--mlflow requires MLflow: pip install sklenet[tracking].")
    from mlflow.exceptions import MlflowException

    try:
        return _write(results, uri)
    except (MlflowException, OSError) as error:
        raise StudyError(f"--mlflow {uri}: {error}") from error


def _write(results: Results, uri: str) -> tuple[int, int]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    name = results.study.name
    experiment = client.get_experiment_by_name(name)
    experiment_id = (
        experiment.experiment_id if experiment else client.create_experiment(name)
    )
    finished = _find_finished(client, experiment_id)
    n_written = n_found = 0
    for key, description, record in _iter_fits(results):
        if key in finished:
            n_found += 1
        else:
            _write_run(client, experiment_id, key, description, record)
            n_written += 1
    return n_written, n_found


def _find_finished(client, experiment_id: str) -> set[str]:
    """Return the keys of the runs that are complete, and delete those that are not."""
    found, token = set(), None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        for run in page:
            if _KEY not in run.data.tags:
                continue
            if run.info.status in ("FINISHED", "FAILED"):
                found.add(run.data.tags[_KEY])
            else:  # left by an interrupted export
                client.delete_run(run.info.run_id)
        token = page.token
        if not token:
            return found


def _iter_fits(results: Results) -> Iterator[tuple[str, dict[str, str], dict]]:
    """Yield the key of each fit, a description of it, and its record."""
    for record in results.fit_records:
        setting = record["setting"]
        description = {"setting": setting, "seed": str(record["seed"])}
        yield f"{record['key']} {setting}", description, record
    for record in results.records:
        if record["kind"] in ("fold", "trial"):
            yield record["key"], describe_candidate(results.study, record), record


def _write_run(client, experiment_id: str, key: str, description: dict, record: dict):
    from mlflow.entities import Metric, Param, RunTag

    name = ", ".join([record["data"], *(f"{n} {v}" for n, v in description.items())])
    tags = {_KEY: key, "sklenet.kind": record["kind"], "sklenet.data": record["data"]}
    if "error" in record:
        tags["sklenet.error"] = record["error"][:_MAX_LENGTH]
    run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
    params = record["params"] | description | {"data": record["data"]}
    params |= {n: record[n] for n in ("n_train", "n_valid", "n_test") if n in record}
    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value, now, step) for name, value, step in _iter_metrics(record)
    ]
    entries = [
        Param(_NOT_ALLOWED.sub("_", n), format_label(v)[:_MAX_LENGTH])
        for n, v in params.items()
    ]
    for start in range(0, len(entries), _MAX_PARAMS):
        client.log_batch(run_id, params=entries[start : start + _MAX_PARAMS])
    for start in range(0, len(metrics), _MAX_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])
    client.log_batch(run_id, tags=[RunTag("sklenet.run", str(record.get("run", 0)))])
    client.set_terminated(run_id, "FAILED" if "error" in record else "FINISHED")


def _iter_metrics(record: dict) -> Iterator[tuple[str, float, int]]:
    """Yield the name, the value and the epoch of each metric of a fit."""
    history: list[Any] = record.get("history", [])
    for number, epoch in enumerate(history, start=1):
        # The history of a trial has the mean score over the folds.
        values = epoch if isinstance(epoch, dict) else {"cv_score": epoch}
        for name, value in values.items():
            if name != "epoch" and _is_number(value):
                yield name, float(value), number
    scores = {
        f"{test}_{metric}": value
        for test, values in record.get("tests", {}).items()
        for metric, value in values.items()
    }
    if record["kind"] == "fold":
        scores |= {f"cv_{metric}": v for metric, v in record.get("scores", {}).items()}
    scores |= {n: record.get(n) for n in ("seconds", "cpu_seconds", "n_parameters")}
    for name, value in scores.items():
        if _is_number(value):
            yield _NOT_ALLOWED.sub("_", name), float(value), len(history)


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
