"""The transformers and parameters that a study file may name.

A study file may come from an untrusted source. It can therefore only name the transformers
listed here, and only set those of their parameters that take text, numbers, booleans and
lists of them. Parameters such as ``memory`` (a folder of pickles), ``score_func`` or
``pooling_func`` (callables) are absent on purpose. A module is only imported if its name is
in the list.
"""

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

from sklearn.utils._param_validation import (
    InvalidParameterError,
    Options,
    validate_parameter_constraints,
)

from sklenet import preprocessing
from sklenet._utils.names import suggest_similar
from sklenet.study.config.errors import suggest
from sklenet.study.config.values import find_problem, short_repr

# Parameters of each transformer. None of them is a callable, a path, a file or a cache.
TRANSFORMERS: dict[str, tuple[str, ...]] = {
    "DarkBackground": ("background", "maximum", "image_shape"),
    "Disturber": (
        *("rotation", "shift", "scale", "squeeze", "stroke", "noise", "occlusion"),
        *("pixel_range", "image_shape"),
    ),
    "Inverter": ("maximum",),
    "Padder": ("size", "value", "image_shape"),
    "PixelScaler": ("to", "image_shape"),
    "Resizer": ("size", "interpolation", "image_shape"),
    "sklearn.cluster.FeatureAgglomeration": (
        *("n_clusters", "metric", "linkage", "compute_full_tree"),
        "distance_threshold",
    ),
    "sklearn.decomposition.FactorAnalysis": (
        *("n_components", "tol", "max_iter", "svd_method", "iterated_power"),
        "rotation",
    ),
    "sklearn.decomposition.FastICA": (
        *("n_components", "algorithm", "whiten", "fun", "max_iter", "tol"),
        "whiten_solver",
    ),
    "sklearn.decomposition.IncrementalPCA": ("n_components", "whiten", "batch_size"),
    "sklearn.decomposition.NMF": (
        *("n_components", "init", "solver", "beta_loss", "tol", "max_iter"),
        *("alpha_W", "alpha_H", "l1_ratio", "shuffle"),
    ),
    "sklearn.decomposition.PCA": (
        *("n_components", "whiten", "svd_solver", "tol", "iterated_power"),
        *("n_oversamples", "power_iteration_normalizer"),
    ),
    "sklearn.decomposition.TruncatedSVD": (
        *("n_components", "algorithm", "n_iter", "n_oversamples"),
        *("power_iteration_normalizer", "tol"),
    ),
    "sklearn.feature_selection.SelectKBest": ("k",),
    "sklearn.feature_selection.SelectPercentile": ("percentile",),
    "sklearn.feature_selection.VarianceThreshold": ("threshold",),
    "sklearn.preprocessing.Binarizer": ("threshold",),
    "sklearn.preprocessing.MaxAbsScaler": ("clip",),
    "sklearn.preprocessing.MinMaxScaler": ("feature_range", "clip"),
    "sklearn.preprocessing.Normalizer": ("norm",),
    "sklearn.preprocessing.PowerTransformer": ("method", "standardize"),
    "sklearn.preprocessing.QuantileTransformer": (
        *("n_quantiles", "output_distribution", "subsample"),
    ),
    "sklearn.preprocessing.RobustScaler": (
        *("with_centering", "with_scaling", "quantile_range", "unit_variance"),
    ),
    "sklearn.preprocessing.StandardScaler": ("with_mean", "with_std"),
    "sklearn.random_projection.GaussianRandomProjection": ("n_components", "eps"),
    "sklearn.random_projection.SparseRandomProjection": (
        *("n_components", "density", "eps", "dense_output"),
    ),
}

# Keys of `net_params`: additional arguments of torch's optimizers. The others of skorch,
# such as callbacks, take objects.
NET_PARAMS = tuple(
    f"optimizer__{name}"
    for name in (
        *("alpha", "amsgrad", "betas", "centered", "dampening", "eps", "foreach", "fused"),
        *("maximize", "mu", "nesterov"),
    )
)

# Python's constants, where they have become text, and as a study file has them.
_PYTHON = {"None": '"none"', "null": '"none"', "True": "true", "False": "false"}

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?")

# Largest number of features that a transformer may return, and largest side of an image:
# the memory for every image of the training set is proportional to them.
MAX_FEATURES = 10_000
MAX_SIDE = 128
# Largest number of weights of a network, which take 1.6 GB while Adam trains it.
MAX_WEIGHTS = 100_000_000
_LIMITS = {
    "n_components": MAX_FEATURES,
    "n_clusters": MAX_FEATURES,
    "n_oversamples": MAX_FEATURES,
    "n_quantiles": 1_000_000,
    "size": MAX_SIDE,
}


def find_transformer(name) -> type:
    """Return the class of a transformer.

    Parameters
    ----------
    name : str
        Its name in `TRANSFORMERS`.

    Raises
    ------
    ValueError
        If the name is not in the list. Nothing is imported in this case.
    """
    if not isinstance(name, str) or name not in TRANSFORMERS:
        last_names = {name.rpartition(".")[2]: name for name in TRANSFORMERS}
        full = last_names.get(str(name), str(name))
        raise ValueError(
            f"no transformer {short_repr(name)}. Known: {', '.join(TRANSFORMERS)}. A study"
            f" file cannot name any others.{suggest_similar(full, TRANSFORMERS)}"
        )
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module) if module else preprocessing, last)


def get_allowed_parameters(transformer: type) -> tuple[str, ...]:
    """Return the names of the parameters of a transformer that a study file may set."""
    (names,) = (
        names
        for name, names in TRANSFORMERS.items()
        if name.rpartition(".")[2] == transformer.__name__
    )
    return names


def check_step_value(transformer: type, parameter: str, value) -> None:
    """Raise a ValueError if a study file may not set a parameter of a transformer.

    Parameters
    ----------
    transformer : type
        A class in `TRANSFORMERS`.
    parameter : str
        Name of the parameter.
    value : object
        Its value.
    """
    if parameter == "random_state":
        raise ValueError(f"{parameter!r} is set by the key 'seeds'. Remove it.")
    known = get_allowed_parameters(transformer)
    if parameter not in known:
        is_there = parameter in inspect.signature(transformer).parameters
        raise ValueError(
            f"{transformer.__name__} has {'the' if is_there else 'no'} parameter"
            f" {parameter!r}{', which a study file cannot set' if is_there else ''}. Known:"
            f" {', '.join(known)}.{suggest_similar(parameter, known)}"
        )
    problem = _find_complex_value(value) or _find_bad_step_value(parameter, value)
    if problem:
        raise ValueError(
            f"the parameter {parameter!r} of {transformer.__name__} {problem}. Got"
            f" {short_repr(value)}."
        )
    check_constraints(transformer, parameter, value)


def _find_complex_value(value) -> str | None:
    """Return what is wrong with a value that is not a plain one."""
    found = find_problem(value)
    if found is None:
        return None
    path, problem = found
    return f"has a value at {'.'.join(path)!r} that {problem}" if path else problem


def _find_bad_step_value(parameter: str, value) -> str | None:
    """Return what is wrong with a plain value that a transformer may not have."""
    parts = list(value) if isinstance(value, list | tuple) else [value]
    if isinstance(value, dict) or not all(
        part is None or isinstance(part, str | int | float) for part in parts
    ):
        return "must be text, a number, a boolean, or a list of these"
    largest = _LIMITS.get(parameter)
    if largest is not None and any(
        isinstance(part, int | float) and part > largest for part in parts
    ):
        return f"must be at most {largest:,} in a study file"
    return None


def check_constraints(estimator: type, parameter: str, value) -> None:
    """Raise a ValueError if a parameter alone cannot have a value.

    Parameters
    ----------
    estimator : type
        A class of estimators.
    parameter : str
        Name of the parameter.
    value : object
        Its value.
    """
    known: dict[str, Any] = getattr(estimator, "_parameter_constraints", {})
    constraints = known.get(parameter, "no_validation")
    if constraints == "no_validation":
        return
    try:
        validate_parameter_constraints(
            {parameter: constraints}, {parameter: value}, caller_name=estimator.__name__
        )
    except InvalidParameterError as error:
        raise ValueError(f"{error}{_suggest_value(constraints, value)}") from None


def _suggest_value(constraints: list, value) -> str:
    """Return the end of a message about text that a parameter cannot have as its value."""
    if not isinstance(value, str):
        return ""
    if value in _PYTHON:
        return f" Write {_PYTHON[value]} in a study file."
    names = [
        name
        for constraint in constraints
        if isinstance(constraint, Options)
        for name in constraint.options
        if isinstance(name, str)
    ]
    return suggest_similar(value, names)


def check_estimator_value(parameter: str, value) -> None:
    """Raise a ValueError if a study file may not set a parameter of LeNet5Classifier.

    The checks of the estimator itself are not repeated here.

    Parameters
    ----------
    parameter : str
        Name of the parameter.
    value : object
        Its value.
    """
    problem = _find_complex_value(value)
    if problem:
        raise ValueError(f"the parameter {parameter!r} {problem}. Got {short_repr(value)}.")
    if parameter == "net_params":
        _check_net_params(value)
    if parameter == "device" and not _DEVICE.fullmatch(str(value)):
        raise ValueError(
            "the parameter 'device' must be 'auto', 'cpu', 'mps', 'cuda' or 'cuda:N' in a"
            f" study file. Got {short_repr(value)}."
        )


def _check_net_params(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise ValueError(
            "the parameter 'net_params' must be a table, such as"
            f" {{ optimizer__betas = [0.9, 0.99] }}. Got {short_repr(value)}."
        )
    for name in value:
        if name not in NET_PARAMS:
            raise ValueError(
                f"the parameter 'net_params' has {short_repr(name)}, which a study file"
                f" cannot set.{suggest(str(name), NET_PARAMS)}"
            )
