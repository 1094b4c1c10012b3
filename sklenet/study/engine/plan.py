"""Which fits a study asks for."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklenet.study.config.pipelines import make_pipeline, qualified
from sklenet.study.config.rules import suggest
from sklenet.study.config.spec import TEST_SET, Study, StudyError
from sklenet.study.engine.fit import Evaluation, clone_with_seed, make_evaluation_key

WINNER = "winner"


class Job(NamedTuple):
    """A training on the whole training set, with its tests."""

    data: str
    setting: str
    pipeline: Pipeline
    seed: int

    def make_key(self, study: Study) -> str:
        """Return what the journal knows this fit by."""
        return make_evaluation_key(
            clone_with_seed(self.pipeline, self.seed), self.data, make_evaluation(study)
        )


def hash_search(study: Study) -> str:
    """Return a short text that is another one for a study that searches differently."""
    plain = study.to_record()
    parts = [plain[key] for key in ("estimator", "steps", "search", "setting", "metrics")]
    text = json.dumps([*parts, study.seeds[0]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def select_part(study: Study, data: Collection[str], settings: Collection[str]) -> Study:
    """Return the study of these data sets and settings only; all where none is named.

    Raises
    ------
    StudyError
        If the study does not have one of them.
    """
    if settings and (study.search or not study.setting):
        what = "has a search" if study.search else "has no [[setting]]"
        raise StudyError(f"--setting: this study {what}, and is run as a whole.")
    known = [setting.name for setting in study.settings]
    for option, names, ours in (
        ("--data", data, study.data),
        ("--setting", settings, known),
    ):
        for name in names:
            if name not in ours:
                raise StudyError(
                    f"{option} {name!r}: not in this study.{suggest(name, ours)}"
                )
    part = study
    if data:
        part = replace(part, data=tuple(name for name in study.data if name in data))
    if settings:
        kept = tuple(one for one in study.settings if one.name in settings)
        part = replace(part, setting=kept)
    if not any(part.settings_for(name) for name in part.data):
        raise StudyError(f"No setting that is left is for {', '.join(part.data)}.")
    return part


def make_evaluation(study: Study) -> Evaluation:
    """Return how the study's tested fits are scored."""
    return Evaluation(
        study.metrics,
        ((TEST_SET, ()), *((test.name, test.steps) for test in study.test)),
        study.validation,
        study.validation_rows,
    )


def plan_jobs(study: Study, data: str, winner: Pipeline | None = None) -> Iterator[Job]:
    """Give the trainings on a data set.

    Parameters
    ----------
    study : Study
    data : str
    winner : Pipeline, optional
        Of the study's search; where there is a search, it alone is trained.
    """
    if study.search:
        found = [(WINNER, winner, study.seeds)] if winner is not None else []
    else:
        found = [
            (setting.name, make_pipeline(study, setting), setting.seeds or study.seeds)
            for setting in study.settings_for(data)
        ]
    for name, pipeline, seeds in found:
        for seed in seeds:
            yield Job(data, name, pipeline, seed)


def make_winner(study: Study, data: str, params: dict) -> Pipeline:
    """Return the unfitted pipeline of a search's candidate.

    Parameters
    ----------
    study : Study
    data : str
    params : dict
        The candidate's, in the study file's words.
    """
    if study.search and study.search.kind == "settings":
        (setting,) = (s for s in study.settings_for(data) if s.name == params["setting"])
        return make_pipeline(study, setting)
    parameters = {qualified(name): value for name, value in params.items()}
    return clone(make_pipeline(study)).set_params(**parameters)
