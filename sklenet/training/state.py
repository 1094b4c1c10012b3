"""A net's weights and its optimizer's state: taken over by another net, or as arrays."""

import numpy as np
import torch


def take_over(net, earlier) -> None:
    """Continue `earlier`'s training in `net`, with `net`'s own settings.

    The optimizer's state, such as Adam's moments, goes along where both nets have the
    same kind of optimizer, switched alike.
    """
    net.module_.load_state_dict(earlier.module_.state_dict())
    ours, theirs = net.optimizer_, earlier.optimizer_
    if type(ours) is type(theirs) and _switches(ours) == _switches(theirs):
        _load_optimizer(net.optimizer_, earlier.optimizer_.state_dict())


def _switches(optimizer: torch.optim.Optimizer) -> dict[str, bool]:
    """Return the settings, such as Adam's amsgrad, that decide what the state holds."""
    return {k: v for k, v in optimizer.defaults.items() if isinstance(v, bool)}


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    settings = [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    # A loaded state brings its own settings along, and what schedulers left there.
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        params = group["params"]
        group.clear()
        group.update(own | {"params": params})


def to_plain(net, module: torch.nn.Module) -> dict:
    """Return the module's weights and the net's optimizer state, as arrays and numbers."""
    return {
        "module": _map(module.state_dict(), torch.Tensor, _to_array),
        "optimizer": _map(net.optimizer_.state_dict(), torch.Tensor, _to_array),
    }


def from_plain(net, state: dict) -> None:
    """Give `net` the weights and the optimizer's state that `to_plain` returned."""
    net.module_.load_state_dict(_map(state["module"], np.ndarray, torch.from_numpy))
    _load_optimizer(net.optimizer_, _map(state["optimizer"], np.ndarray, torch.from_numpy))


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    # A copy: state dicts share the parameters' memory.
    return tensor.detach().cpu().numpy().copy()


def _map(value, kind: type, convert):
    """Return `value` with everything of `kind` in it converted."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, dict):
        return {key: _map(item, kind, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map(item, kind, convert) for item in value]
    return value
