"""Committees: the mean of the probabilities that the fits of all seeds predict."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from sklenet.study.config.spec import Study
from sklenet.study.engine.data import load_data
from sklenet.study.engine.evaluate import compute_scores
from sklenet.study.engine.outputs import PROBABILITIES, load_probabilities
from sklenet.study.engine.plan import Job
from sklenet.study.engine.records import StudyJournal


class _FixedProbabilities(ClassifierMixin, BaseEstimator):
    """A classifier that predicts the same probabilities whatever X is."""

    def __init__(self, probabilities, classes):
        self.probabilities = probabilities
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = self.classes
        return self

    def predict_proba(self, X):
        return self.probabilities

    def predict(self, X):
        return self.classes_[self.probabilities.argmax(axis=1)]


def group_by_setting(jobs: Iterable[Job]) -> list[list[Job]]:
    """Return the fits of each dataset and setting that has several seeds."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.data, job.setting), []).append(job)
    return [group for group in groups.values() if len(group) > 1]


def make_committee_key(keys: Sequence[str]) -> str:
    """Return the key of the record of a committee, given those of its fits."""
    text = " ".join(["committee", *sorted(keys)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def record_committees(study: Study, jobs: Iterable[Job], journal: Path, run: int) -> None:
    """Score the committee of each setting on the test set, and journal the scores.

    Committees that are in the journal are not scored again. Nothing is recorded of a
    setting if one of its fits has failed, or if its probabilities were not kept, as by
    versions before there were committees.

    Parameters
    ----------
    study : Study
    jobs : iterable of Job
        Fits of the study, which have been run.
    journal : Path
    run : int
        Number of the run, for the records.
    """
    found = StudyJournal(journal)
    for group in group_by_setting(jobs):
        keys = [job.make_key(study) for job in group]
        key = make_committee_key(keys)
        if found.find(key) is not None:
            continue
        members = [load_probabilities(journal.parent / PROBABILITIES, k) for k in keys]
        if any(member is None for member in members):
            continue
        data, setting = group[0].data, group[0].setting
        record = {"key": key, "kind": "committee", "run": run, "data": data}
        record |= {"setting": setting, "seeds": [job.seed for job in group]}
        record["tests"] = _score(study, data, members)
        found.append(record)


def _score(study: Study, data: str, members: list) -> dict[str, dict]:
    """Return the scores of the mean of the members' probabilities in each test."""
    _, y = load_data(study.get_dataset(data), "test")
    mean = np.mean([probabilities for probabilities, _ in members], axis=0)
    classes = members[0][1]
    X = np.zeros((len(y), 1))
    scores = {}
    for test, of_test in zip(study.test_names, mean, strict=True):
        committee = _FixedProbabilities(of_test, classes).fit(X, y)
        scores[test] = compute_scores(committee, study.metrics, X, y)
    return scores
