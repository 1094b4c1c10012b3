"""The optimizer of the 1998 paper: stochastic diagonal Levenberg-Marquardt.

Each weight has its own learning rate, which depends on the second derivative of the loss
with respect to it. Second derivatives are propagated backward like first derivatives, with
squared weights and squared slopes and without off-diagonal terms (LeCun et al. 1998,
appendix C; the recursion is due to Becker and LeCun, 1989). The curvature of the squashing
functions is omitted; this Gauss-Newton approximation keeps the estimates non-negative.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from sklenet.network.layers import Dropout
from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
WeightCurvature = dict[nn.Parameter, torch.Tensor]


class SDLM(torch.optim.Optimizer):
    """Stochastic diagonal Levenberg-Marquardt.

    The learning rate of each weight is lr / (mu + h). Its second derivative h is estimated
    by :meth:`estimate` on a few hundred patterns before each epoch. Before the first
    estimate, h is 0.

    Parameters
    ----------
    params : iterable of Parameter
        Weights to optimize.
    lr : float, default=0.0005
        Global learning rate, eta in the paper, which uses 0.0005 in the first epochs.
    mu : float, default=0.02
        Constant that limits the learning rate of weights with a small second derivative.
    weight_decay : float, default=0.0
        Weight decay: ``weight_decay * w`` is added to the gradient of each weight w.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 5e-4,
        mu: float = 0.02,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "mu": mu, "weight_decay": weight_decay})

    def estimate(
        self,
        module: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        loss: LossFunction,
    ) -> None:
        """Estimate the second derivatives, as the mean over some patterns.

        Parameters are those of :func:`estimate_second_derivatives`.
        """
        curvature = estimate_second_derivatives(module, images, labels, loss)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["factor"] = 1 / (group["mu"] + curvature[p])

    def compute_learning_rates(self) -> torch.Tensor:
        """Return the learning rates lr / (mu + h) of all weights."""
        return torch.cat(
            [
                (group["lr"] * self.state[p]["factor"]).flatten()
                for group in self.param_groups
                for p in group["params"]
            ]
        )

    @torch.no_grad()
    def step(self, closure=None):
        """Perform a single optimization step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            gradients = [p.grad for p in params]
            if decay := group["weight_decay"]:
                gradients = [
                    g.add(p, alpha=decay) for g, p in zip(gradients, params, strict=True)
                ]
            factors = [self._get_factor(p, group["mu"]) for p in params]
            torch._foreach_addcmul_(params, gradients, factors, value=-group["lr"])
        return loss

    def _get_factor(self, p: nn.Parameter, mu: float) -> torch.Tensor:
        state = self.state[p]
        if "factor" not in state:
            state["factor"] = torch.full_like(p, 1 / mu)
        return state["factor"]


def estimate_second_derivatives(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, loss: LossFunction
) -> WeightCurvature:
    """Estimate the second derivatives of the mean loss with respect to each weight.

    The second derivatives of a weight that is shared by several connections are added.

    Parameters
    ----------
    module : LeNet5
        The network.
    images : Tensor of shape (n, channels, height, width)
        Images.
    labels : Tensor of shape (n,)
        Labels of the images.
    loss : callable
        Function of outputs and labels that returns one value per pattern.

    Returns
    -------
    dict of Parameter to Tensor

    Raises
    ------
    TypeError
        If there is no rule for a layer of the module.
    """
    training = module.training
    module.eval()
    try:
        layers = list(_iter_leaves(module))
        inputs = [images]
        with torch.no_grad():
            for layer in layers:
                inputs.append(layer(inputs[-1]))
        gradient, h = _differentiate_loss(loss, inputs.pop(), labels)
        curvature: WeightCurvature = {}
        for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
            if isinstance(layer, RadialBasis):
                h = _propagate_through_distances(layer, x, gradient, h)
            else:
                h, weight_curvature = _propagate(layer, x, h)
                curvature |= weight_curvature
    finally:
        module.train(training)
    return {p: total / len(images) for p, total in curvature.items()}


def _iter_leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers in order; a layer that occurs twice is yielded twice."""
    for layer in module._modules.values():
        if layer is not None:
            yield from _iter_leaves(layer) if layer._modules else (layer,)


def _differentiate_loss(
    loss: LossFunction, outputs: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first and second derivatives of the loss with respect to each output.

    Negative second derivatives are replaced by 0.
    """
    outputs = outputs.detach().requires_grad_()
    total = loss(outputs, labels).sum()
    (gradient,) = torch.autograd.grad(total, outputs, create_graph=True)
    second = torch.zeros_like(outputs)
    if gradient.requires_grad:
        for k in range(outputs.shape[1]):
            (row,) = torch.autograd.grad(
                gradient[:, k].sum(), outputs, retain_graph=True, allow_unused=True
            )
            if row is not None:
                second[:, k] = row[:, k]
    return gradient.detach(), second.clamp_min(0)


def _propagate_through_distances(layer: RadialBasis, x, gradient, h) -> torch.Tensor:
    """Return the second derivatives with respect to the inputs of an output layer.

    The second derivative of a distance y_i = |x - w_i|^2 itself, 2, is taken into account.
    Without it, equation 8 of the paper, a sum of squares, would have no curvature.
    """
    slopes = 2 * (x[:, None, :] - layer.codes)
    squared = (h[:, :, None] * slopes.square()).sum(dim=1)
    return squared + (-2 * gradient.sum(dim=1, keepdim=True)).clamp_min(0)


@singledispatch
def _propagate(
    layer: nn.Module, x: torch.Tensor, h: torch.Tensor
) -> tuple[torch.Tensor, WeightCurvature]:
    """Propagate second derivatives through a layer.

    This is the rule for functions of each element, such as activation functions; other
    types of layers have their own rules.

    Parameters
    ----------
    layer : Module
        The layer.
    x : Tensor
        Inputs of the layer.
    h : Tensor
        Second derivatives with respect to its outputs.

    Returns
    -------
    h : Tensor
        Second derivatives with respect to the inputs.
    curvature : dict of Parameter to Tensor
        Second derivatives with respect to the weights of the layer.
    """
    if not list(layer.parameters()):
        slope = _pull_back(layer, x, torch.ones_like(h))
        if slope.shape == h.shape:
            return h * slope.square(), {}
    raise TypeError(
        f"optimizer='sdlm' does not know the second derivatives of {type(layer).__name__}."
        " Use named layers or another optimizer."
    )


@_propagate.register
def _(layer: nn.Linear, x, h):
    curvature = {layer.weight: h.t() @ x.square(), layer.bias: h.sum(dim=0)}
    return h @ layer.weight.detach().square(), curvature


@_propagate.register(nn.Conv2d)
@_propagate.register(PartialConv2d)
def _(layer, x, h):
    is_partial = isinstance(layer, PartialConv2d)
    kernels = (layer.to_dense() if is_partial else layer.weight).detach()
    kernel_curvature = conv2d_weight(x.square(), kernels.shape, h)
    if is_partial:
        kernel_curvature = kernel_curvature.flatten(0, 1)[layer.index]
    curvature = {layer.weight: kernel_curvature}
    if layer.bias is not None:
        curvature[layer.bias] = h.sum(dim=(0, 2, 3))
    return conv2d_input(x.shape, kernels.square(), h), curvature


@_propagate.register
def _(layer: Subsample, x, h):
    def add_inputs(x):
        return F.avg_pool2d(x, layer.side, divisor_override=1)

    curvature = {
        layer.weight: (h * add_inputs(x).square()).sum(dim=(0, 2, 3)),
        layer.bias: h.sum(dim=(0, 2, 3)),
    }
    return _pull_back(
        add_inputs, x, h * layer.weight.detach().square()[:, None, None]
    ), curvature


@_propagate.register
def _(layer: nn.AvgPool2d, x, h):
    # The weight of each input, 1 / area, has to be squared.
    window = layer.kernel_size
    area = window**2 if isinstance(window, int) else window[0] * window[1]
    return _pull_back(layer, x, h) / area, {}


@_propagate.register(nn.Flatten)
@_propagate.register(nn.MaxPool2d)
@_propagate.register(nn.Identity)
@_propagate.register(Dropout)
def _(layer, x, h):
    # Each output is one of the inputs.
    return _pull_back(layer, x, h), {}


def _pull_back(function, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Return the product of h with the derivatives of a function at x."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (result,) = torch.autograd.grad(function(x), x, h)
    return result
