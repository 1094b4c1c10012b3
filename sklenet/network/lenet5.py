"""LeNet-5 as a torch module."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from sklenet.network.choices import build_activation, build_pooling, check_layer
from sklenet.network.init import Init, make_init
from sklenet.network.layers import Dropout, FirstConv2d
from sklenet.network.lecun1998 import PartialConv2d, RadialBasis, Subsample

Factory = Callable[..., nn.Module]


class LeNet5(nn.Module):
    """Two stages of convolution and pooling, then fully connected layers.

    With the defaults, on 1x32x32 input::

        C1 6@28x28 - S2 6@14x14 - C3 16@10x10 - S4 16@5x5 - C5 120 - F6 84 - output 10

    and 61,706 parameters. The layers carry the paper's names; C5, a 5x5 convolution over
    all of a 5x5 S4, is written as the fully connected layer that it is.

    Parameters
    ----------
    input_shape : tuple of int (channels, height, width)
        The shape of one image on the network's canvas.
    n_outputs : int
        The number of output units.
    activation, pooling : str, Module or callable
        A name in ``ACTIVATIONS`` or ``POOLINGS``; a module, of which every layer is a copy;
        a class or function that makes the layer, an activation without arguments, a
        pooling from the side of its window, 2; or a function of a tensor.
    init : str or callable
        A name in ``INITS``, a function of a layer and a ``torch.Generator``, or a function
        of the weights, such as those of ``torch.nn.init``.
    dropout : float
        The probability with which a unit of a hidden layer is dropped in training.
    maps : sequence of int
        The number of maps of C1 and of C3.
    connections : sequence of sequences of int, optional
        The maps of S2 that each map of C3 sees; None: all of them.
    kernel_size : int
        The side of C1's and C3's kernels.
    hidden : sequence of int
        The number of units of each fully connected layer before the output: the paper's
        are C5 and F6, further ones F7 and so on.
    codes : Tensor of shape (n_outputs, units of the last hidden layer), optional
        Of radial basis functions at the output; None: it is linear.
    seed : int
        Of the initial weights and of dropout. torch's global generator is not touched.

    Attributes
    ----------
    features : nn.Sequential
        C1 to S4, flattened.
    head : nn.Sequential
        C5 to the output.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proc. IEEE 86(11), 1998, section II.B.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 32, 32),
        n_outputs: int = 10,
        activation: str | Factory = "relu",
        pooling: str | Factory = "max",
        init: str | Init = "he_uniform",
        dropout: float = 0.0,
        maps: Sequence[int] = (6, 16),
        connections: Sequence[Sequence[int]] | None = None,
        kernel_size: int = 5,
        hidden: Sequence[int] = (120, 84),
        codes: torch.Tensor | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        make_activation = partial(build_activation, activation)
        channels, height, width = input_shape
        n_first, n_second = map(int, maps)
        s4_height, s4_width = (s4_side(side, kernel_size) for side in (height, width))

        self.features = nn.Sequential(
            OrderedDict(
                C1=_empty(FirstConv2d, channels, n_first, kernel_size=kernel_size),
                C1_activation=make_activation(),
                S2=_pool(pooling, n_first, make_activation),
                C3=_empty(nn.Conv2d, n_first, n_second, kernel_size=kernel_size)
                if connections is None
                else PartialConv2d(connections, n_first, kernel_size),
                C3_activation=make_activation(),
                S4=_pool(pooling, n_second, make_activation),
                flatten=nn.Flatten(),
            )
        )
        head: OrderedDict[str, nn.Module] = OrderedDict()
        n_inputs = n_second * s4_height * s4_width
        for k, n_units in enumerate(hidden):
            name = layer_name(k)
            head[name] = _empty(nn.Linear, n_inputs, n_units)
            head[f"{name}_activation"] = make_activation()
            head[f"{name}_dropout"] = Dropout(dropout, seed)
            n_inputs = n_units
        head["output"] = (
            _empty(nn.Linear, n_inputs, n_outputs) if codes is None else RadialBasis(codes)
        )
        self.head = nn.Sequential(head)
        self.reseed_dropout(seed)
        generator = torch.Generator().manual_seed(seed)
        draw = make_init(init)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | PartialConv2d | Subsample):
                draw(layer, generator)
        self._check_choices({"activation": activation, "pooling": pooling}, input_shape)

    def _check_choices(self, choices: dict[str, Any], input_shape: Sequence[int]) -> None:
        """Raise a ValueError if a layer that has no name does not do what it should."""
        if all(isinstance(choice, str) for choice in choices.values()):
            return
        layers: list[tuple[str, nn.Module]] = []
        for name, layer in self.layers().items():
            is_subsampling = name in ("S2", "S4") and choices["pooling"] == "subsample"
            layers += layer.named_children() if is_subsampling else [(name, layer)]
        x = torch.zeros((1, *input_shape), dtype=torch.float32)
        self.eval()  # so that neither statistics nor random numbers are touched
        for name, layer in layers:
            parameter = "pooling" if name in ("S2", "S4") else "activation"
            choice = choices[parameter]
            is_chosen = parameter == "pooling" or name.endswith(("activation", "squash"))
            if is_chosen and not isinstance(choice, str):
                check_layer(parameter, choice, layer, tuple(x.shape[1:]))
            with torch.no_grad():
                x = layer(x)
        self.train()

    def reseed_dropout(self, seed: int) -> None:
        """Begin new sequences of random numbers in the dropout layers."""
        dropouts = [layer for layer in self.head if isinstance(layer, Dropout)]
        for k, layer in enumerate(dropouts):
            layer.reseed(seed + 1 + k)

    def layers(self) -> dict[str, nn.Module]:
        """Return all layers by name, from C1 to the output."""
        # Not named_children, which leaves out a layer that is there twice.
        return dict(self.features._modules) | dict(self.head._modules)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the output units' values, of shape (n, n_outputs)."""
        return self.head(self.features(images))


def _pool(choice: Any, channels: int, make_activation: Factory) -> nn.Module:
    """Return S2 or S4; the paper's has weights, and squashes their sum."""
    if choice == "subsample":
        parts = OrderedDict(sum=Subsample(channels), squash=make_activation())
        return nn.Sequential(parts)
    return build_pooling(choice)


def layer_name(k: int) -> str:
    """Return the name of the k-th fully connected layer: C5, F6, F7, ..."""
    return f"F{5 + k}" if k else "C5"


def s4_side(side: int, kernel_size: int) -> int:
    """Return the side of S4's maps, not above 0 where the input is too small."""
    return ((side - kernel_size + 1) // 2 - kernel_size + 1) // 2


def _empty(layer: type[nn.Module], *args: int, **kwargs: int) -> nn.Module:
    # torch's layers draw their first weights from the global generator; these do not. Under
    # `torch.device("meta")` a network has shapes, and no memory.
    device = "meta" if torch.empty(0).device.type == "meta" else "cpu"
    return nn.utils.skip_init(layer, *args, device=device, **kwargs)
