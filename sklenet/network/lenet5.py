"""LeNet-5 as a torch module."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from sklenet.network.factories import check_layer, make_activation, make_pooling
from sklenet.network.init import Initializer, make_init
from sklenet.network.layers import Dropout, FirstConv2d
from sklenet.network.lecun1998.layers import PartialConv2d, RadialBasis, Subsample

LayerFactory = Callable[..., nn.Module]


class LeNet5(nn.Module):
    """LeNet-5: two stages of convolution and pooling, and fully connected layers.

    With the default parameters, the layers are::

        C1 6@28x28 - S2 6@14x14 - C3 16@10x10 - S4 16@5x5 - C5 120 - F6 84 - output 10

    The network has 61,706 parameters. The layers have the names of the 1998 paper. C5, a
    convolution whose 5x5 kernels cover the whole 5x5 maps of S4, is implemented as the
    equivalent fully connected layer.

    Parameters
    ----------
    input_shape : tuple of int (channels, height, width), default=(1, 32, 32)
        Shape of one input image.
    n_outputs : int, default=10
        Number of output units.
    activation : str, Module or callable, default="relu"
        Activation function: a name in ``ACTIVATIONS``, a module, which is copied for each
        layer, a class or function that returns a module when called without arguments, or
        a function of a tensor.
    pooling : str, Module or callable, default="max"
        Pooling layer: a name in ``POOLINGS``, a module, which is copied for each layer, a
        class or function that returns a module when called with the side length of the
        window, 2, or a function of a tensor.
    init : str or callable, default="he_uniform"
        Initialization of the weights: a name in ``INITS``, a function of a layer and a
        ``torch.Generator``, or a function of the weights, such as those of
        ``torch.nn.init``.
    dropout : float, default=0.0
        Probability that a unit of a hidden layer is set to zero during training.
    maps : sequence of int, default=(6, 16)
        Numbers of feature maps of C1 and C3.
    connections : sequence of sequences of int, default=None
        For each feature map of C3, the feature maps of S2 that are its inputs. If `None`,
        all of them.
    kernel_size : int, default=5
        Side length of the kernels of C1 and C3.
    hidden : sequence of int, default=(120, 84)
        Number of units of each fully connected layer before the output. The layers are
        named C5, F6, F7 and so on.
    codes : Tensor of shape (n_outputs, hidden[-1]), default=None
        Target codes of the radial basis function units at the output. If `None`, the
        output layer is linear.
    seed : int, default=0
        Seed of the initial weights and of dropout. The global generator of torch is not
        used.

    Attributes
    ----------
    features : nn.Sequential
        Layers from C1 to S4, followed by flattening.
    head : nn.Sequential
        Layers from C5 to the output.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proc. IEEE 86(11), 1998, section II.B.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 32, 32),
        n_outputs: int = 10,
        activation: str | LayerFactory = "relu",
        pooling: str | LayerFactory = "max",
        init: str | Initializer = "he_uniform",
        dropout: float = 0.0,
        maps: Sequence[int] = (6, 16),
        connections: Sequence[Sequence[int]] | None = None,
        kernel_size: int = 5,
        hidden: Sequence[int] = (120, 84),
        codes: torch.Tensor | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        new_activation = partial(make_activation, activation)
        channels, height, width = input_shape
        n_c1, n_c3 = map(int, maps)
        self.features = nn.Sequential(
            OrderedDict(
                C1=_make_uninitialized(FirstConv2d, channels, n_c1, kernel_size),
                C1_activation=new_activation(),
                S2=_make_subsampling(pooling, n_c1, new_activation),
                C3=_make_uninitialized(nn.Conv2d, n_c1, n_c3, kernel_size)
                if connections is None
                else PartialConv2d(connections, n_c1, kernel_size),
                C3_activation=new_activation(),
                S4=_make_subsampling(pooling, n_c3, new_activation),
                flatten=nn.Flatten(),
            )
        )
        head: OrderedDict[str, nn.Module] = OrderedDict()
        n_inputs = n_c3
        for side in (height, width):
            n_inputs *= compute_s4_side(side, kernel_size)
        for k, n_units in enumerate(hidden):
            name = get_hidden_layer_name(k)
            head[name] = _make_uninitialized(nn.Linear, n_inputs, n_units)
            head[f"{name}_activation"] = new_activation()
            head[f"{name}_dropout"] = Dropout(dropout, seed)
            n_inputs = n_units
        if codes is None:
            head["output"] = _make_uninitialized(nn.Linear, n_inputs, n_outputs)
        else:
            head["output"] = RadialBasis(codes)
        self.head = nn.Sequential(head)
        self.reseed_dropout(seed)
        generator = torch.Generator().manual_seed(seed)
        initialize = make_init(init)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | PartialConv2d | Subsample):
                initialize(layer, generator)
        if not (isinstance(activation, str) and isinstance(pooling, str)):
            self._check_custom_layers(activation, pooling, input_shape)

    def _check_custom_layers(
        self, activation: Any, pooling: Any, input_shape: Sequence[int]
    ) -> None:
        """Raise a ValueError if a custom activation or pooling layer is unsuitable."""
        x = torch.zeros((1, *input_shape), dtype=torch.float32)
        self.eval()  # so that the layers neither update statistics nor draw numbers
        for name, layer in self._iter_operations():
            shape = tuple(x.shape[1:])
            if name in ("S2", "S4") and not isinstance(pooling, str):
                check_layer("pooling", pooling, layer, shape)
            is_activation = name.endswith(("activation", "squash"))
            if is_activation and not isinstance(activation, str):
                check_layer("activation", activation, layer, shape)
            with torch.no_grad():
                x = layer(x)
        self.train()

    def _iter_operations(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers by name, with the sum and the squashing of S2 and S4 apart."""
        for name, layer in self.layers().items():
            if isinstance(layer, nn.Sequential) and isinstance(layer[0], Subsample):
                yield from layer._modules.items()
            else:
                yield name, layer

    def reseed_dropout(self, seed: int) -> None:
        """Start new sequences of random numbers in the dropout layers."""
        dropouts = [layer for layer in self.head if isinstance(layer, Dropout)]
        for k, layer in enumerate(dropouts):
            layer.reseed(seed + 1 + k)

    def layers(self) -> dict[str, nn.Module]:
        """Return all layers by name, in their order from C1 to the output."""
        # named_children omits repetitions of a module, which a custom factory may return.
        return dict(self.features._modules) | dict(self.head._modules)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, of shape (n, n_outputs)."""
        return self.head(self.features(images))


def _make_subsampling(
    pooling: Any, channels: int, new_activation: LayerFactory
) -> nn.Module:
    """Return S2 or S4; the paper's version is followed by a squashing function."""
    if pooling == "subsample":
        return nn.Sequential(OrderedDict(sum=Subsample(channels), squash=new_activation()))
    return make_pooling(pooling)


def get_hidden_layer_name(k: int) -> str:
    """Return the name of the k-th fully connected layer, from 0: C5, F6, F7, ..."""
    return f"F{5 + k}" if k else "C5"


def compute_s4_side(side: int, kernel_size: int) -> int:
    """Return the height or width of S4 for that of the input.

    It is less than 1 if the input is too small for the kernels.
    """
    return ((side - kernel_size + 1) // 2 - kernel_size + 1) // 2


def _make_uninitialized(layer: type[nn.Module], *args: int) -> nn.Module:
    # The constructors of torch's layers would draw initial weights from the global
    # generator. Under `torch.device("meta")`, weights have shapes, but no memory.
    device = "meta" if torch.empty(0).device.type == "meta" else "cpu"
    return nn.utils.skip_init(layer, *args, device=device)
