"""Weights and optimizer state of a net: passed on to another net, or as plain arrays."""

from collections import OrderedDict
from contextlib import suppress

import numpy as np
import torch


def continue_net(net, earlier) -> None:
    """Make `net` continue the training of the net `earlier`, with its own settings.

    Both nets share the module afterwards, so that hooks of the module and references to it
    remain valid. The state of the optimizer, such as the moments of Adam, is copied if
    both nets have the same kind of optimizer and none of its switches differ.
    """
    net.module_ = earlier.module_.to(net.device)
    if type(net.criterion_) is type(earlier.criterion_):
        with suppress(RuntimeError):  # the loss has other parameters, which start anew
            net.criterion_.load_state_dict(earlier.criterion_.state_dict())
    net.initialize_optimizer()
    net.continue_history(earlier.history)
    new, old = net.optimizer_, earlier.optimizer_
    if type(new) is type(old) and _get_switches(new) == _get_switches(old):
        load_optimizer(net, map_leaves(old.state_dict(), torch.Tensor, torch.clone))
    log, earlier_log = (dict(each.callbacks_).get("print_log") for each in (net, earlier))
    if log is not None and earlier_log is not None:
        log.first_iteration_ = earlier_log.first_iteration_  # the header is printed once


def _get_switches(optimizer: torch.optim.Optimizer) -> dict[str, bool]:
    """Return the boolean settings, such as amsgrad, on which the kind of state depends."""
    return {k: v for k, v in optimizer.defaults.items() if isinstance(v, bool)}


def load_optimizer(net, state: dict) -> None:
    """Load the state of an optimizer, but keep the settings of the net."""
    net.optimizer_.load_state_dict(state)
    net.reset_optimizer_settings()


def to_plain(net, module: torch.nn.Module) -> dict:
    """Return the weights and the optimizer state of a net, as arrays and numbers."""
    return {
        "module": map_leaves(module.state_dict(), torch.Tensor, _to_array),
        "criterion": map_leaves(net.criterion_.state_dict(), torch.Tensor, _to_array),
        "optimizer": map_leaves(net.optimizer_.state_dict(), torch.Tensor, _to_array),
        "frozen": [n for n, p in module.named_parameters() if not p.requires_grad],
    }


def from_plain(net, state: dict) -> None:
    """Set the weights and the optimizer state from copies of what `to_plain` returned."""
    net.module_.load_state_dict(map_leaves(state["module"], np.ndarray, torch.tensor))
    criterion = map_leaves(state.get("criterion", {}), np.ndarray, torch.tensor)
    net.criterion_.load_state_dict(criterion)
    load_optimizer(net, map_leaves(state["optimizer"], np.ndarray, torch.tensor))
    for name in state.get("frozen", ()):
        net.module_.get_parameter(name).requires_grad_(False)


def copy_arrays(value):
    """Return `value` with copies of its arrays, lists and dicts.

    Unpickled arrays can be memory maps of a file, or shared with other processes.
    """
    return map_leaves(value, np.ndarray, np.array)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    # Copied, because state dicts share the memory of the parameters.
    return tensor.detach().cpu().numpy().copy()


def map_leaves(value, kind: type, convert):
    """Return nested dicts, lists and tuples with all values of type `kind` converted."""
    if isinstance(value, kind):
        return convert(value)
    if type(value) is dict or isinstance(value, OrderedDict):
        return {key: map_leaves(item, kind, convert) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map_leaves(item, kind, convert) for item in value)
    return value
