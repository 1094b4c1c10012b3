"""Read the network in a file: weights and optimizer state, checked before they are used."""

from typing import Any

import numpy as np
import torch

from sklenet.images.canvas import Canvas
from sklenet.network import LeNet5
from sklenet.network.init import leave_uninitialized
from sklenet.network.lecun1998.layers import check_connections
from sklenet.network.lenet5 import get_hidden_layer_name
from sklenet.persistence.format import MAX_TENSORS, InvalidFileError
from sklenet.training.build import ARCHITECTURE, build_net
from sklenet.training.net import TrainingNet
from sklenet.training.parameters import make_canvas

Shapes = dict[str, tuple[int, ...]]

# State of optimizers that is a count, or of which a square root is taken.
_NOT_NEGATIVE = {
    "step",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "square_avg",
    "sum",
    "acc_delta",
    "mu_product",
}


def read_network(
    file, state: dict[str, Any], frozen: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the network in a file, and all tensors of the file.

    Parameters
    ----------
    file : safe_open
    state : dict
        State of the estimator except for its network.
    frozen : list of str
        Names of the weights that training does not change.

    Returns
    -------
    net_state : dict
        Weights and optimizer state, for `sklenet.training.state.from_plain`.
    tensors : dict
        All tensors by name.

    Raises
    ------
    InvalidFileError
        If the tensors do not match the network that `state` describes.
    """
    params, classes = state["fit_params_"], state["classes_"]
    canvas = make_canvas(params, state["image_shape_"], state["pixel_range_"])
    shapes = _read_shapes(file)
    _check_n_units(shapes, params, len(classes))
    weights = _compute_weight_shapes(params, canvas, len(classes))
    is_weight = {name for name in shapes if name.startswith("weights/")}
    _check_shapes({name: shapes[name] for name in is_weight}, weights)

    # Now that the network is known to be as large as the file, it can be built.
    uninitialized = params | {"init": leave_uninitialized}
    net = build_net(uninitialized, canvas, classes, torch.device("cpu"))
    optimizer = _compute_optimizer_shapes(net, frozen, shapes)
    others = shapes.keys() - is_weight - _name_additional_tensors(state)
    _check_shapes({name: shapes[name] for name in others}, optimizer)

    tensors = {name: file.get_tensor(name) for name in shapes}
    for name in (*weights, *optimizer):
        _check_values(name, tensors[name])
    net_state = {
        "module": {name.removeprefix("weights/"): tensors[name] for name in weights},
        "optimizer": _assemble_optimizer_state(net, optimizer, tensors),
        "frozen": sorted(frozen),
    }
    return net_state, tensors


def _read_shapes(file) -> Shapes:
    """Return the shapes of all tensors of a file."""
    names = file.keys()
    if len(names) > MAX_TENSORS:
        raise InvalidFileError(
            f"it has {len(names):,} tensors; {MAX_TENSORS:,} are allowed."
        )
    return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _check_n_units(shapes: Shapes, params: dict[str, Any], n_classes: int) -> None:
    """Raise an error if layers have other sizes than the parameters require.

    This is done before the shapes of the network are computed, because parameters could
    describe a very large network.
    """
    maps, hidden = list(params["maps"]), list(params["hidden"])
    output = "codes" if params["output"] == "rbf" else "bias"
    expected = {"features.C1.bias": maps[0], "features.C3.bias": maps[1]}
    expected |= {f"head.{get_hidden_layer_name(k)}.bias": n for k, n in enumerate(hidden)}
    expected[f"head.output.{output}"] = n_classes
    for name, n_units in expected.items():
        found = shapes.get(f"weights/{name}", ())
        if found[:1] != (n_units,):
            raise InvalidFileError(
                f"weights/{name} has shape {found}, but the layer has {n_units} units."
            )


def _compute_weight_shapes(
    params: dict[str, Any], canvas: Canvas, n_classes: int
) -> Shapes:
    """Return the shapes of the weights of a network, without allocating them."""
    hidden = list(params["hidden"])
    has_codes = params["output"] == "rbf" and hidden
    with torch.device("meta"):
        module = LeNet5(
            canvas.shape,
            n_classes,
            **{name: params[name] for name in ARCHITECTURE if name != "init"},
            init=leave_uninitialized,
            connections=check_connections(params["connections"], params["maps"]),
            codes=torch.empty(n_classes, hidden[-1]) if has_codes else None,
        )
    return {f"weights/{k}": tuple(t.shape) for k, t in module.state_dict().items()}


def _check_shapes(found: Shapes, expected: Shapes) -> None:
    """Raise an error if a tensor is missing, unknown, or has another shape."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise InvalidFileError(f"{name} is missing.")
        if name not in expected:
            raise InvalidFileError(f"{name[:100]} is not a tensor of this network.")
        if found[name] != expected[name]:
            raise InvalidFileError(
                f"{name} has shape {found[name]} instead of {expected[name]}."
            )


def _compute_optimizer_shapes(net: TrainingNet, frozen: list[str], names) -> Shapes:
    """Return the shapes of the optimizer state that a file with these tensors must have.

    The optimizer has no state of weights that were frozen from the first step on, and none
    at all before its first step; training then continues with a new optimizer.
    """
    if not any(name.startswith("optimizer/") for name in names):
        return {}
    shapes = _probe_optimizer(net.optimizer_)
    of_frozen = _find_frozen_state(net, shapes, frozen)
    if of_frozen & set(names):
        return shapes
    return {name: shape for name, shape in shapes.items() if name not in of_frozen}


def _probe_optimizer(optimizer: torch.optim.Optimizer) -> Shapes:
    """Return the shapes of the state that the optimizer keeps of each parameter.

    They are those after a step of the same kind of optimizer on parameters of two weights.
    """
    small_groups = [
        group | {"params": [torch.zeros(2, requires_grad=True) for _ in group["params"]]}
        for group in optimizer.param_groups
    ]
    make_optimizer: Any = type(optimizer)
    probe = make_optimizer(small_groups)
    pairs = [
        pair
        for group, small in zip(optimizer.param_groups, small_groups, strict=True)
        for pair in zip(group["params"], small["params"], strict=True)
    ]
    for _, p in pairs:
        p.grad = torch.zeros_like(p)
    probe.step()
    return {
        f"optimizer/{k}/{key}": tuple(parameter.shape) if np.ndim(value) else ()
        for k, (parameter, p) in enumerate(pairs)
        for key, value in probe.state[p].items()
        if value is not None
    }


def _find_frozen_state(net: TrainingNet, shapes: Shapes, frozen: list[str]) -> set[str]:
    """Return the names of the optimizer state of frozen weights."""
    parameters = dict(net.module_.named_parameters())
    if unknown := sorted(set(frozen) - parameters.keys()):
        raise InvalidFileError(f"the network has no weights {unknown[0][:100]!r}.")
    ids = {id(parameters[name]) for name in frozen}
    groups = net.optimizer_.param_groups
    in_order = [p for group in groups for p in group["params"]]
    numbers = {str(k) for k, p in enumerate(in_order) if id(p) in ids}
    return {name for name in shapes if name.split("/")[1] in numbers}


def _name_additional_tensors(state: dict[str, Any]) -> set[str]:
    """Return the names of the tensors that are not part of the network."""
    names = {"random_state"}
    if state["classes_"].dtype.kind not in "UO":
        names.add("classes")
    if state["held_out_"] is not None:
        names.add("held_out")
    return names


def _check_values(name: str, array: np.ndarray) -> None:
    """Raise an error if weights, or optimizer state, are not valid numbers."""
    if array.dtype != np.float32:
        raise InvalidFileError(f"{name} has the type {array.dtype} instead of float32.")
    is_weight = name.startswith("weights/")
    # Mean squares of large gradients may overflow; their weights then do not change.
    if not np.isfinite(array).all() if is_weight else np.isnan(array).any():
        raise InvalidFileError(f"{name} has values that are not finite numbers.")
    if name.rpartition("/")[2] in _NOT_NEGATIVE and (array < 0).any():
        raise InvalidFileError(f"{name} has negative values.")


def _assemble_optimizer_state(
    net: TrainingNet, names, tensors: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return the state dict of the optimizer."""
    by_parameter: dict[int, dict[str, np.ndarray]] = {}
    for name in names:
        _, k, key = name.split("/")
        by_parameter.setdefault(int(k), {})[key] = tensors[name]
    groups = net.optimizer_.state_dict()["param_groups"]
    return {"state": by_parameter, "param_groups": groups}
