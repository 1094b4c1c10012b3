"""LeNet-5 as a torch module."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from sklenet.network.init import INITS, Init
from sklenet.network.layers import ACTIVATIONS, POOLINGS

Factory = Callable[..., nn.Module]


class LeNet5(nn.Sequential):
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
    activation, pooling : str or callable
        A name in ``ACTIVATIONS`` or ``POOLINGS``, or what makes the layer: an activation
        is called without arguments, a pooling with its window's side, 2.
    init : str or callable
        A name in ``INITS``, or a function of a layer and a ``torch.Generator``.
    seed : int
        Of the initial weights. torch's global generator is not touched.

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
        seed: int = 0,
    ) -> None:
        make_activation = _look_up(ACTIVATIONS, activation)
        make_pooling = _look_up(POOLINGS, pooling)
        channels, height, width = input_shape
        s4_shape = [(((side - 4) // 2) - 4) // 2 for side in (height, width)]
        s4_units = 16 * s4_shape[0] * s4_shape[1]

        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["C1"] = _empty(nn.Conv2d, channels, 6, kernel_size=5)
        layers["C1_activation"] = make_activation()
        layers["S2"] = make_pooling(2)
        layers["C3"] = _empty(nn.Conv2d, 6, 16, kernel_size=5)
        layers["C3_activation"] = make_activation()
        layers["S4"] = make_pooling(2)
        layers["flatten"] = nn.Flatten()
        layers["C5"] = _empty(nn.Linear, s4_units, 120)
        layers["C5_activation"] = make_activation()
        layers["F6"] = _empty(nn.Linear, 120, 84)
        layers["F6_activation"] = make_activation()
        layers["output"] = _empty(nn.Linear, 84, n_outputs)
        super().__init__(layers)

        generator = torch.Generator().manual_seed(seed)
        draw = _look_up(INITS, init)
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                draw(layer, generator)


def _empty(layer: type[nn.Module], *args: int, **kwargs: int) -> nn.Module:
    # torch's layers draw their first weights from the global generator; these do not.
    return nn.utils.skip_init(layer, *args, **kwargs)


def _look_up(registry, choice):
    return registry[choice] if isinstance(choice, str) else choice
