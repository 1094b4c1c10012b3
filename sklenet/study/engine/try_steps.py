"""The steps of a study, tried on its images before anything is trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from sklearn.pipeline import Pipeline

from sklenet.datasets.registry import ImageDataset
from sklenet.study.config.errors import BadKey, Key
from sklenet.study.config.factors import is_of_step
from sklenet.study.config.pipelines import make_pipeline
from sklenet.study.config.spec import Study
from sklenet.study.config.steps import make_steps
from sklenet.study.config.tables import Setting
from sklenet.study.engine.data import (
    find_first_rows,
    load_data,
    load_training_data,
    make_sample,
)
from sklenet.study.engine.fit import clone_with_seed, make_fit_key
from sklenet.training.samples.checks import check_training_data


def try_steps(study: Study, name: str) -> None:
    """Raise a BadKey if the steps of a setting or of a test fail on a dataset.

    As in a run, steps are fitted to all images that a fit is trained on. Then some of the
    images are transformed. Candidates of a grid are not tried: one that fails has no score,
    and the search continues.

    Parameters
    ----------
    study : Study
    name : str
        Name of the dataset.
    """
    dataset = study.get_dataset(name)
    transformed: dict[str, tuple] = {}
    for key, setting in _list_settings_with_steps(study, name):
        n_train = study.get_n_train(setting)
        pipeline = clone_with_seed(make_pipeline(study, setting, dataset), 0)
        steps, classifier = pipeline[:-1], pipeline[-1]
        text = make_fit_key(steps, f"{n_train}")
        with _report(key, name):
            if text not in transformed:
                X, y = _load_sample(study, dataset, n_train)
                rows = _select_rows(X, y)
                transformed[text] = steps.fit(X, y).transform(X[rows]), y[rows]
            images, labels = transformed[text]
            check_training_data(classifier, images, labels, None, continued=False)

    if not study.test_tables:
        return
    sizes = [study.get_n_train(setting) for setting in study.list_settings(name)]
    smallest = min((size for size in sizes if size is not None), default=None)
    X, y = _load_sample(study, dataset, smallest)
    X_test, y_test = load_data(dataset, "test")
    X_test = X_test[_select_rows(X_test, y_test)]
    for key, tables in _list_tests(study):
        with _report(key, name):
            steps = clone_with_seed(Pipeline(make_steps(tables)), 0)
            images = steps.fit(X, y).transform(X_test)
        if images.shape != X_test.shape:
            raise BadKey(
                key,
                "the steps of a test must not change the number of pixels, since the"
                f" pipeline is trained on images of {name} with {X_test.shape[1]}."
                f" Afterwards, they have {images.shape[1]}.",
            )


def _load_sample(study: Study, dataset: ImageDataset, n_train: int | None):
    """Return the images and labels of a fit with this number of training images."""
    return load_training_data(dataset, make_sample(study, n_train, study.seeds[0]))


@contextmanager
def _report(key: Key, name: str) -> Iterator[None]:
    """Report an exception as an error of `key`."""
    try:
        yield
    except Exception as error:
        raise BadKey(key, f"not possible for {name}: {error}") from error


def _select_rows(X, y) -> np.ndarray:
    """Return the rows of some images of each class, and those of the extreme pixels."""
    extremes = np.array([X.argmin(), X.argmax()]) // X.shape[1]
    return np.union1d(find_first_rows(y), extremes)


def _list_settings_with_steps(study: Study, name: str) -> Iterator[tuple[Key, Setting]]:
    """Yield the settings that have steps, with the keys of the steps."""
    if not study.setting_tables:
        grid = study.search.grid if study.search else {}
        if study.steps and not any(map(is_of_step, grid)):
            for setting in study.list_settings(name):
                yield ("steps",), setting
    for k, table in enumerate(study.setting_tables):
        if table.data is not None and name not in table.data:
            continue
        key: Key = ("steps",) if table.steps is None else ("setting", str(k), "steps")
        for setting in table.expand(study.steps, study.train_sizes):
            if study.steps if setting.steps is None else setting.steps:
                yield key, setting


def _list_tests(study: Study) -> Iterator[tuple[Key, Sequence[dict]]]:
    """Yield the steps of each additional test, with their key."""
    for k, table in enumerate(study.test_tables):
        for test in table.expand():
            yield ("test", str(k), "steps"), test.steps
