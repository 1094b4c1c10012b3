import copy

import pytest
import torch
from torch import nn

from sklenet.network.layers import Dropout, FirstConv2d, ScaledTanh


def test_scaled_tanh_has_the_values_of_the_paper():
    f = ScaledTanh()
    a = torch.tensor([0.0, 1.0, -1.0, 100.0])
    # Appendix A: f(1) = 1 and f(-1) = -1; the amplitude is 1.7159.
    assert f(a).tolist() == pytest.approx([0.0, 1.0, -1.0, 1.7159], abs=1e-4)


def test_dropout_preserves_the_mean_and_leaves_the_global_generator_alone():
    x = torch.ones(1000, 50)
    state = torch.get_rng_state()
    layer = Dropout(0.3, seed=1)
    out = layer(x)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(layer(x), out)
    assert torch.equal(Dropout(0.3, seed=1)(x), out)
    assert torch.equal(copy.deepcopy(layer)(x), out)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(5, 1, 32, 32), (2, 3, 32, 45), (1, 1, 9, 5)])
def test_first_convolution_and_its_gradient_equal_those_of_torch(shape):
    x = torch.rand(shape, dtype=torch.float64)
    layer = FirstConv2d(shape[1], 6, 5).double()
    reference = nn.Conv2d(shape[1], 6, 5).double()
    reference.load_state_dict(layer.state_dict())
    grad_output = torch.rand_like(layer(x))
    for convolution in (layer, reference):
        convolution(x).backward(grad_output)
    assert torch.allclose(layer(x), reference(x))
    assert torch.allclose(layer.weight.grad, reference.weight.grad)
    assert torch.allclose(layer.bias.grad, reference.bias.grad)


def test_first_convolution_computes_the_gradient_of_an_input_that_requires_it():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    FirstConv2d(1, 6, 5)(x).sum().backward()
    assert x.grad.abs().sum() > 0
