"""The fits of which a study consists, besides those of its search."""

import hashlib
import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from sklearn.pipeline import Pipeline

from sklenet.study.config.errors import StudyError, suggest
from sklenet.study.config.pipelines import make_candidate, make_pipeline
from sklenet.study.config.searches import SettingsSearch
from sklenet.study.config.spec import TEST_SET, Study
from sklenet.study.engine.data import make_data_key, make_sample, make_sample_key
from sklenet.study.engine.fit import Evaluation, clone_with_seed, make_evaluation_key

WINNER = "winner"  # name in the tables of the candidate that wins a search


class Job(NamedTuple):
    """A fit on the whole training set of a study, evaluated on the test set.

    Parameters
    ----------
    data : str
        Name of the dataset.
    setting : str
        Name of the setting.
    pipeline : Pipeline
        Unfitted.
    seed : int
    n_train : int, optional
        Number of training images. If None, all of them.
    """

    data: str
    setting: str
    pipeline: Pipeline
    seed: int
    n_train: int | None = None

    def make_key(self, study: Study) -> str:
        """Return the key of the record of this fit."""
        pipeline = clone_with_seed(self.pipeline, self.seed)
        dataset = study.get_dataset(self.data)
        sample = make_sample(study, self.n_train, self.seed)
        return make_evaluation_key(pipeline, dataset, make_evaluation(study), sample)


def hash_search(study: Study, data: str | None = None) -> str:
    """Return a short text that identifies the search of a study on a dataset.

    Parameters
    ----------
    study : Study
    data : str, optional
        Name of the dataset. If None, the text is that for all datasets which are identified
        by their names.
    """
    return _hash_search(study, study.to_record(), data)


def hash_trials(study: Study, data: str | None = None) -> str:
    """Return a short text that identifies the trials of a search by Optuna.

    It does not depend on their number: a search with a larger `n_iter` begins with the
    trials of one with a smaller `n_iter`. The parameters are those of `hash_search`.
    """
    record = study.to_record()
    record["search"] |= {"n_iter": None}
    return _hash_search(study, record, data)


def _hash_search(study: Study, record: dict, data: str | None) -> str:
    keys = ("estimator", "steps", "search", "setting", "metrics")
    parts: list = [*(record[key] for key in keys), study.seeds[0]]
    # What is added here must not change the hashes of existing records.
    if data is not None and (key := make_data_key(study.get_dataset(data))) != data:
        parts.append(key)
    parts += make_sample_key(make_sample(study, study.get_n_train(), study.seeds[0]))
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def select_part(study: Study, data: Collection[str], settings: Collection[str]) -> Study:
    """Return the study with some of its datasets and settings.

    Parameters
    ----------
    study : Study
    data : collection of str
        Names of datasets. If empty, all of them.
    settings : collection of str
        Names of settings. If empty, all of them.

    Raises
    ------
    StudyError
        If the study does not have one of them, or none of the settings is for one of the
        datasets.
    """
    if settings and (study.search or not study.setting_tables):
        reason = "has a search" if study.search else "has no [[setting]]"
        raise StudyError(f"--setting: this study {reason}. It can only be run as a whole.")
    _check_names("--data", data, study.data)
    _check_names("--setting", settings, [setting.name for setting in study.settings])
    part: dict = {}
    if data:
        part["data"] = tuple(name for name in study.data if name in data)
    if settings:
        kept = (setting for setting in study.settings if setting.name in settings)
        part["setting_tables"] = tuple(kept)
    selected = study.model_copy(update=part)
    if not any(selected.list_settings(name) for name in selected.data):
        raise StudyError(
            f"None of the selected settings is for {', '.join(selected.data)}."
        )
    return selected


def _check_names(option: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise StudyError(
                f"{option} {name!r} is not in this study.{suggest(name, known)}"
            )


def make_evaluation(study: Study) -> Evaluation:
    """Return how the fits of a study are evaluated on the test set."""
    return Evaluation(
        study.metrics,
        (
            (TEST_SET, ()),
            *((test.name, test.steps) for test in study.additional_tests),
        ),
        study.validation,
        study.validation_rows,
    )


def plan_jobs(study: Study, data: str, winner: Pipeline | None = None) -> Iterator[Job]:
    """Yield the fits on a dataset that are evaluated on its test set.

    Parameters
    ----------
    study : Study
    data : str
        Name of the dataset.
    winner : Pipeline, optional
        Winner of the search, unfitted. In a study with a search it alone is trained, and
        without it there are no such fits.
    """
    if study.search:
        n_train = study.get_n_train()
        found = [(WINNER, winner, study.seeds, n_train)] if winner is not None else []
    else:
        dataset = study.find_dataset(data)
        found = [
            (
                setting.name,
                make_pipeline(study, setting, dataset),
                setting.seeds or study.seeds,
                study.get_n_train(setting),
            )
            for setting in study.list_settings(data)
        ]
    for name, pipeline, seeds, n_train in found:
        for seed in seeds:
            yield Job(data, name, pipeline, seed, n_train)


def make_winner(study: Study, data: str, params: dict) -> Pipeline:
    """Return the unfitted pipeline of a candidate of the search.

    Parameters
    ----------
    study : Study
    data : str
        Name of the dataset.
    params : dict
        Parameters of the candidate, by their names in the study.
    """
    dataset = study.find_dataset(data)
    if isinstance(study.search, SettingsSearch):
        (setting,) = (s for s in study.list_settings(data) if s.name == params["setting"])
        return make_pipeline(study, setting, dataset)
    return make_candidate(study, params, dataset)
