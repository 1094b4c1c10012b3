"""Stochastic diagonal Levenberg-Marquardt: a learning rate of its own for every weight.

The second derivatives of the loss are propagated backwards like the first ones, with
squared weights and squared slopes, off-diagonal terms dropped (LeCun et al. 1998, appendix
C; the recursion is that of Becker and LeCun, 1989). Curvature of the squashing functions
is left out, the Gauss-Newton approximation, which keeps the estimate from being negative.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from sklenet.network.layers import Dropout
from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Layers that hand on each input, or none of it, with the weight 1.
_SELECTING = (nn.Flatten, nn.MaxPool2d, nn.Identity)


class SDLM(torch.optim.Optimizer):
    """Stochastic gradient descent with the step lr / (mu + h) for each weight.

    h is the weight's second derivative, estimated by `estimate` on a few hundred patterns
    before every pass, and held until the next one.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
        The paper's eta, 0.0005 in the first passes.
    mu : float
        Keeps the step from becoming large where h is small; 0.02 in the paper.
    weight_decay : float
        Adds ``weight_decay * w`` to the gradient.
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
        self, module: nn.Module, images: torch.Tensor, labels: torch.Tensor, loss: Loss
    ) -> None:
        """Estimate the second derivatives anew, as the mean over these patterns."""
        found = estimate_second_derivatives(module, images, labels, loss)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["factor"] = 1 / (group["mu"] + found[parameter])

    def rates(self) -> torch.Tensor:
        """Return the effective learning rates lr / (mu + h) of all weights."""
        return torch.cat(
            [
                (group["lr"] * self.state[p]["factor"]).flatten()
                for group in self.param_groups
                for p in group["params"]
            ]
        )

    @torch.no_grad()
    def step(self, closure=None):
        """Make a step down the gradient."""
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
            factors = [self._factor(p, group["mu"]) for p in params]
            torch._foreach_addcmul_(params, gradients, factors, value=-group["lr"])
        return loss

    def _factor(self, p: nn.Parameter, mu: float) -> torch.Tensor:
        state = self.state[p]
        if "factor" not in state:  # nothing estimated yet: as if h were 0
            state["factor"] = torch.full_like(p, 1 / mu)
        return state["factor"]


def estimate_second_derivatives(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, loss: Loss
) -> dict[nn.Parameter, torch.Tensor]:
    """Return the diagonal second derivatives of the mean loss, per weight.

    Weights that are shared by many connections sum theirs.

    Parameters
    ----------
    module : LeNet5
    images : Tensor of shape (n, channels, height, width)
    labels : Tensor of shape (n,)
    loss : callable
        Of outputs and labels, one value per pattern.

    Raises
    ------
    TypeError
        If the module has a layer that the recursion does not know.
    """
    training = module.training
    module.eval()
    try:
        layers = list(_leaves(module))
        inputs = [images]
        with torch.no_grad():
            for layer in layers:
                inputs.append(layer(inputs[-1]))
        gradient, h = _of_loss(loss, inputs[-1], labels)
        found: dict[nn.Parameter, torch.Tensor] = {}
        for layer, x in zip(reversed(layers), reversed(inputs[:-1]), strict=True):
            if isinstance(layer, RadialBasis):
                h = _through_distances(layer, x, gradient, h)
            else:
                h = _through(layer, x, h, found)
    finally:
        module.train(training)
    return {p: total / len(images) for p, total in found.items()}


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers in their order, one that is there twice twice."""
    for layer in module._modules.values():
        if layer is not None:
            yield from _leaves(layer) if layer._modules else (layer,)


def _of_loss(loss: Loss, outputs: torch.Tensor, labels: torch.Tensor):
    """Return the loss' first and second derivatives by each output, the latter from 0."""
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


def _through_distances(layer: RadialBasis, x, gradient, h):
    """Return h of the inputs x of y_i = |x - w_i|^2, whose own curvature is 2.

    That curvature is kept: without it the paper's equation 8, which is a sum of squares,
    would have none at all.
    """
    slopes = 2 * (x[:, None, :] - layer.codes)
    of_slopes = (h[:, :, None] * slopes.square()).sum(dim=1)
    return of_slopes + (-2 * gradient.sum(dim=1, keepdim=True)).clamp_min(0)


def _through(layer: nn.Module, x, h, found: dict):
    """Return h of a layer's inputs x from h of its outputs; note that of its weights."""
    if isinstance(layer, nn.Linear):
        found[layer.weight] = h.t() @ x.square()
        found[layer.bias] = h.sum(dim=0)
        return h @ layer.weight.detach().square()
    if isinstance(layer, nn.Conv2d | PartialConv2d):
        dense = layer.to_dense() if isinstance(layer, PartialConv2d) else layer.weight
        kernels = dense.detach()
        of_kernels = conv2d_weight(x.square(), kernels.shape, h)
        if isinstance(layer, PartialConv2d):
            of_kernels = of_kernels.flatten(0, 1)[layer.index]
        found[layer.weight] = of_kernels
        if layer.bias is not None:
            found[layer.bias] = h.sum(dim=(0, 2, 3))
        return conv2d_input(x.shape, kernels.square(), h)
    if isinstance(layer, Subsample):
        total = F.avg_pool2d(x, layer.side, divisor_override=1)
        found[layer.weight] = (h * total.square()).sum(dim=(0, 2, 3))
        found[layer.bias] = h.sum(dim=(0, 2, 3))
        of_total = h * layer.weight.detach().square()[:, None, None]
        return _pull_back(
            lambda a: F.avg_pool2d(a, layer.side, divisor_override=1), x, of_total
        )
    if isinstance(layer, nn.AvgPool2d):
        # Each input counts with a weight of 1/area, here to be squared.
        width = layer.kernel_size
        area = width**2 if isinstance(width, int) else width[0] * width[1]
        return _pull_back(layer, x, h) / area
    if isinstance(layer, (*_SELECTING, Dropout)):
        return _pull_back(layer, x, h)
    if not list(layer.parameters()):  # a function of each element
        slope = _pull_back(layer, x, torch.ones_like(h))
        if slope.shape == h.shape:
            return h * slope.square()
    raise TypeError(
        f"optimizer='sdlm' does not know the second derivatives of {type(layer).__name__}."
        " Use the layers that sklenet has names for, or another optimizer."
    )


def _pull_back(function, x, h):
    """Return the product of h with the function's derivatives at x."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (result,) = torch.autograd.grad(function(x), x, h)
    return result
