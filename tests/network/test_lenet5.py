import pytest
import torch
from torch import nn

from sklenet.network import ACTIVATIONS, INITS, POOLINGS, LeNet5

# C1: 6 (25 + 1); C3: 16 (6 x 25 + 1), fully connected; C5: 120 (16 x 25 + 1);
# F6: 84 (120 + 1); output: 10 (84 + 1).
PARAMETERS = {"C1": 156, "C3": 2_416, "C5": 48_120, "F6": 10_164, "output": 850}


def count_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_number_of_parameters_of_each_layer():
    layers = {
        name: count_parameters(layer)
        for name, layer in LeNet5().layers().items()
        if count_parameters(layer)
    }
    assert layers == PARAMETERS
    assert count_parameters(LeNet5()) == 61_706


def test_output_shape_of_each_layer():
    x = torch.zeros(2, 1, 32, 32)
    shapes = {}
    for name, layer in LeNet5().layers().items():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    # Section II.B of the paper.
    assert shapes["C1"] == (6, 28, 28)
    assert shapes["S2"] == (6, 14, 14)
    assert shapes["C3"] == (16, 10, 10)
    assert shapes["S4"] == (16, 5, 5)
    assert shapes["C5"] == (120,)
    assert shapes["F6"] == (84,)
    assert shapes["output"] == (10,)


@pytest.mark.parametrize(
    ("input_shape", "options", "total"),
    [
        ((3, 32, 32), {}, 62_006),
        # As in a Keras tutorial: 3x3 kernels, 28x28 images, a hidden layer of 128 units.
        ((1, 28, 28), {"kernel_size": 3, "hidden": (128,)}, 53_558),
        # The default network without padding: S4 is 16@4x4.
        ((1, 28, 28), {}, 44_426),
        ((1, 28, 28), {"hidden": ()}, 156 + 2_416 + 10 * (256 + 1)),
        ((1, 32, 32), {"hidden": (120, 84, 50)}, 61_706 - 850 + 50 * 85 + 10 * 51),
    ],
)
def test_number_of_parameters_of_other_networks(input_shape, options, total):
    module = LeNet5(input_shape, **options)
    assert count_parameters(module) == total
    assert module(torch.rand(2, *input_shape)).shape == (2, 10)


def test_hidden_layers_have_the_names_of_the_paper():
    names = [n for n in LeNet5(hidden=(30, 20, 10)).layers() if "_" not in n]
    assert names == ["C1", "S2", "C3", "S4", "flatten", "C5", "F6", "F7", "output"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_all_named_layers_are_differentiable(activation, pooling):
    module = LeNet5(activation=activation, pooling=pooling, init="xavier_uniform")
    module(torch.rand(3, 1, 32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_other_input_shapes_and_outputs():
    assert LeNet5((3, 32, 32), 7)(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert LeNet5((1, 32, 45), 2)(torch.rand(2, 1, 32, 45)).shape == (2, 2)


def test_classes_and_functions_can_be_passed_instead_of_names():
    module = LeNet5(activation=nn.SiLU, pooling=nn.MaxPool2d, init=INITS["torch"])
    assert isinstance(module.features.C1_activation, nn.SiLU)


def test_weights_depend_on_the_seed_and_not_on_the_global_generator():
    state = torch.get_rng_state()
    a, b, c = LeNet5(seed=1), LeNet5(seed=1), LeNet5(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(
        torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )
    assert not torch.equal(a.features.C1.weight, c.features.C1.weight)
