"""A net's weights and its optimizer's state: continued by another net, or as arrays."""

from collections import OrderedDict
from contextlib import suppress

import numpy as np
import torch


def continue_net(net, earlier) -> None:
    """Continue the training of the net `earlier` in `net`, with the settings of `net`.

    Both share the module from then on, so that its hooks, and references to it, remain
    valid. The optimizer's state, such as Adam's moments, is copied where both nets have
    the same kind of optimizer with the same switches.
    """
    net.module_ = earlier.module_.to(net.device)
    if type(net.criterion_) is type(earlier.criterion_):
        with suppress(RuntimeError):  # a loss of other parameters begins anew
            net.criterion_.load_state_dict(earlier.criterion_.state_dict())
    net.initialize_optimizer()
    net.continue_history(earlier.history)
    ours, theirs = net.optimizer_, earlier.optimizer_
    if type(ours) is type(theirs) and _switches(ours) == _switches(theirs):
        state = map_leaves(theirs.state_dict(), torch.Tensor, torch.clone)
        load_optimizer(net, state)
    log, earlier_log = (dict(each.callbacks_).get("print_log") for each in (net, earlier))
    if log is not None and earlier_log is not None:
        log.first_iteration_ = earlier_log.first_iteration_  # whether to print the header


def _switches(optimizer: torch.optim.Optimizer) -> dict[str, bool]:
    """Return the settings, such as Adam's amsgrad, that decide what the state holds."""
    return {k: v for k, v in optimizer.defaults.items() if isinstance(v, bool)}


def load_optimizer(net, state: dict) -> None:
    """Load the state of an optimizer, but not the settings that come with it."""
    net.optimizer_.load_state_dict(state)
    net.reset_optimizer_settings()


def to_plain(net, module: torch.nn.Module) -> dict:
    """Return the module's weights and the net's optimizer state, as arrays and numbers."""
    return {
        "module": map_leaves(module.state_dict(), torch.Tensor, _to_array),
        "criterion": map_leaves(net.criterion_.state_dict(), torch.Tensor, _to_array),
        "optimizer": map_leaves(net.optimizer_.state_dict(), torch.Tensor, _to_array),
        "frozen": [n for n, p in module.named_parameters() if not p.requires_grad],
    }


def from_plain(net, state: dict) -> None:
    """Set the weights and the optimizer's state to copies of what `to_plain` returned."""
    net.module_.load_state_dict(map_leaves(state["module"], np.ndarray, torch.tensor))
    criterion = map_leaves(state.get("criterion", {}), np.ndarray, torch.tensor)
    net.criterion_.load_state_dict(criterion)
    load_optimizer(net, map_leaves(state["optimizer"], np.ndarray, torch.tensor))
    for name in state.get("frozen", ()):
        net.module_.get_parameter(name).requires_grad_(False)


def copy_arrays(value):
    """Return `value` with copies of the arrays in it, and of its lists and dicts.

    Arrays that are unpickled may be memory maps: of a file, or shared with other
    processes, and read-only or not.
    """
    return map_leaves(value, np.ndarray, np.array)


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    # A copy: state dicts share the parameters' memory.
    return tensor.detach().cpu().numpy().copy()


def map_leaves(value, kind: type, convert):
    """Return `value`, nested dicts, lists and tuples, with all of `kind` converted."""
    if isinstance(value, kind):
        return convert(value)
    if type(value) is dict or isinstance(value, OrderedDict):
        return {key: map_leaves(item, kind, convert) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map_leaves(item, kind, convert) for item in value)
    return value
