"""Steps of the optimizers by compiled kernels, on the state of the torch optimizers."""

import math
from typing import Any

import numpy as np
import torch
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, Optimizer, RMSprop

from sklenet.network.kernels.compiler import load_layers, prepare
from sklenet.network.lecun1998.sdlm import SDLM

# Options without a kernel, and the names of the state of each parameter.
_OFF = ("amsgrad", "maximize", "capturable", "differentiable", "centered")
_STATE = {
    Adam: ("exp_avg", "exp_avg_sq"),
    AdamW: ("exp_avg", "exp_avg_sq"),
    NAdam: ("exp_avg", "exp_avg_sq"),
    Adagrad: ("sum",),
    Adadelta: ("square_avg", "acc_delta"),
    SGD: ("momentum_buffer",),
    RMSprop: ("square_avg",),
    SDLM: ("factor",),
}


_KERNELS = {
    Adam: ("step_adam",),
    AdamW: ("step_adam",),
    NAdam: ("step_nadam",),
    Adagrad: ("step_adagrad",),
    Adadelta: ("step_adadelta",),
    SGD: ("step_plain", "step_momentum"),
    RMSprop: ("step_rmsprop",),
    SDLM: ("step_sdlm",),
}


class CompiledSteps:
    """Make the same steps as the ``step`` method of an optimizer, with less overhead.

    If the optimizer has no state yet, the first step is its own, which creates that. Its
    settings are read at each step, because schedules change them. After the last step,
    `close` writes the number of steps back.

    Parameters
    ----------
    optimizer : Optimizer
        All its parameters have a gradient, whose memory does not change.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.groups: list[tuple[dict, list]] | None = None
        self.has_state = _has_state(optimizer)
        self.kernels: Any = load_layers()
        self.can_compile = (
            self.kernels is not None
            and _is_plain(optimizer)
            and prepare(
                *(getattr(self.kernels.optimizers, k) for k in _KERNELS[type(optimizer)])
            )
        )

    def __call__(self) -> None:
        """Make a step."""
        if not self.can_compile:
            self.optimizer.step()
            return
        if not self.has_state:
            self.optimizer.step()
            self.has_state = True
            return
        if self.groups is None:
            self._take_over()
        if not self.can_compile:
            self.optimizer.step()
            return
        self.n_steps += 1
        # A method kept as an attribute would refer to its own object, and keep a discarded
        # network in memory until Python's next full garbage collection.
        step = _STEPS[type(self.optimizer)]
        for group, params in self.groups or ():
            step(self, group, params, self.n_steps)

    def close(self) -> None:
        """Write the number of steps back to the optimizer."""
        for group, _ in self.groups or ():
            for p in group["params"]:
                state = self.optimizer.state.get(p, {})
                if "step" in state:
                    state["step"].fill_(float(self.n_steps))
                if "mu_product" in state:
                    state["mu_product"].fill_(self.products[id(group)])

    def _take_over(self) -> None:
        names = _STATE[type(self.optimizer)]
        self.groups = []
        steps = set()
        # By group, the product of the momenta of all steps of NAdam.
        self.products: dict[int, float] = {}
        for group in self.optimizer.param_groups:
            params = []
            for p in group["params"]:
                state = self.optimizer.state.get(p, {})
                tensors = [p.detach(), p.grad, *(state.get(name) for name in names)]
                params.append([None if t is None else _flat(t) for t in tensors])
                if "step" in state:
                    steps.add(float(state["step"]))
                if "mu_product" in state:
                    self.products[id(group)] = float(state["mu_product"])
            self.groups.append((group, params))
        if len(steps) > 1:  # parameters that were added later
            self.groups, self.can_compile = None, False
            return
        self.n_steps = int(steps.pop()) if steps else 0

    def _step_adam(self, group: dict, params: list, n_steps: int) -> None:
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        shrink = 1.0
        if group.get("decoupled_weight_decay", type(self.optimizer) is AdamW):
            shrink, decay = 1 - lr * decay, 0.0
        rate = lr / (1 - beta1**n_steps)
        root = math.sqrt(1 - beta2**n_steps)
        settings = (rate, root, beta1, beta2, group["eps"], decay, shrink)
        for p, grad, mean, square in params:
            self.kernels.optimizers.step_adam(p, grad, mean, square, *settings)

    def _step_nadam(self, group: dict, params: list, n_steps: int) -> None:
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        shrink = 1.0
        if group["decoupled_weight_decay"]:
            shrink, decay = 1 - lr * decay, 0.0
        momentum, following = (
            beta1 * (1 - 0.5 * 0.96 ** (k * group["momentum_decay"]))
            for k in (n_steps, n_steps + 1)
        )
        product = self.products.get(id(group), 1.0) * momentum
        self.products[id(group)] = product
        rate_grad = lr * (1 - momentum) / (1 - product)
        rate_mean = lr * following / (1 - product * following)
        root = math.sqrt(1 - beta2**n_steps)
        settings = (rate_mean, rate_grad, root, beta1, beta2, group["eps"], decay, shrink)
        for p, grad, mean, square in params:
            self.kernels.optimizers.step_nadam(p, grad, mean, square, *settings)

    def _step_adagrad(self, group: dict, params: list, n_steps: int) -> None:
        lr = group["lr"] / (1 + (n_steps - 1) * group["lr_decay"])
        for p, grad, square in params:
            self.kernels.optimizers.step_adagrad(
                p, grad, square, lr, group["eps"], group["weight_decay"]
            )

    def _step_adadelta(self, group: dict, params: list, n_steps: int) -> None:
        settings = group["lr"], group["rho"], group["eps"], group["weight_decay"]
        for p, grad, square, change in params:
            self.kernels.optimizers.step_adadelta(p, grad, square, change, *settings)

    def _step_sgd(self, group: dict, params: list, n_steps: int) -> None:
        lr, decay = group["lr"], group["weight_decay"]
        momentum, undamped = group["momentum"], 1 - group["dampening"]
        nesterov = float(group["nesterov"])
        for p, grad, buffer in params:
            if not momentum:
                self.kernels.optimizers.step_plain(p, grad, lr, decay)
            else:
                self.kernels.optimizers.step_momentum(
                    p, grad, buffer, lr, momentum, undamped, nesterov, decay
                )

    def _step_rmsprop(self, group: dict, params: list, n_steps: int) -> None:
        settings = group["lr"], group["alpha"], group["eps"], group["weight_decay"]
        for p, grad, square in params:
            self.kernels.optimizers.step_rmsprop(p, grad, square, *settings)

    def _step_sdlm(self, group: dict, params: list, n_steps: int) -> None:
        for p, grad, factor in params:
            self.kernels.optimizers.step_sdlm(
                p, grad, factor, group["lr"], group["weight_decay"]
            )


_STEPS = {
    Adam: CompiledSteps._step_adam,
    AdamW: CompiledSteps._step_adam,
    NAdam: CompiledSteps._step_nadam,
    Adagrad: CompiledSteps._step_adagrad,
    Adadelta: CompiledSteps._step_adadelta,
    SGD: CompiledSteps._step_sgd,
    RMSprop: CompiledSteps._step_rmsprop,
    SDLM: CompiledSteps._step_sdlm,
}


def _has_state(optimizer: Optimizer) -> bool:
    """Return whether the optimizer has made a step, and its scheduler knows of one."""
    names = _STATE.get(type(optimizer), ())
    if getattr(optimizer, "_opt_called", None) is None and hasattr(
        optimizer.step, "_wrapped_by_lr_sched"
    ):
        return False  # schedulers warn if the optimizer's own method is never called
    return all(
        name in optimizer.state.get(p, {})
        for group in optimizer.param_groups
        for p in group["params"]
        for name in names
    )


def _is_plain(optimizer: Optimizer) -> bool:
    """Return whether the kernels know the optimizer, its options and parameters."""
    if type(optimizer) not in _STATE:
        return False
    hooks = (v for k, v in vars(optimizer).items() if k.endswith("_hooks"))
    if any(hooks):
        return False
    for group in optimizer.param_groups:
        if any(group.get(name) for name in _OFF):
            return False
        if type(optimizer) is RMSprop and group["momentum"]:
            return False
        if any(isinstance(value, torch.Tensor) for value in group.values()):
            return False
        for p in group["params"]:
            usable = p.grad is not None and p.is_contiguous() and p.grad.is_contiguous()
            if not usable or p.dtype != torch.float32:
                return False
    return True


def _flat(tensor: torch.Tensor) -> Any:
    array: np.ndarray = tensor.numpy()
    return array.reshape(-1)
