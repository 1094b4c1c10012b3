import copy

import pytest
import torch
from torch import nn

from sklenet.network.layers import Dropout, FirstConv2d, ScaledTanh


def test_scaled_tanh_is_the_papers():
    f = ScaledTanh()
    a = torch.tensor([0.0, 1.0, -1.0, 100.0])
    # Appendix A: f(1) = 1 and f(-1) = -1; the amplitude is 1.7159.
    assert f(a).tolist() == pytest.approx([0.0, 1.0, -1.0, 1.7159], abs=1e-4)


def test_dropout_keeps_the_mean_and_draws_from_its_own_generator():
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
def test_first_convolution_is_torchs_with_the_same_gradient(shape):
    x = torch.rand(shape, dtype=torch.float64)
    own = FirstConv2d(shape[1], 6, 5).double()
    torchs = nn.Conv2d(shape[1], 6, 5).double()
    torchs.load_state_dict(own.state_dict())
    weights = torch.rand_like(own(x))
    for layer in (own, torchs):
        (layer(x) * weights).sum().backward()
    assert torch.allclose(own(x), torchs(x))
    assert torch.allclose(own.weight.grad, torchs.weight.grad)
    assert torch.allclose(own.bias.grad, torchs.bias.grad)


def test_first_convolution_differentiates_by_its_input_where_asked():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    FirstConv2d(1, 6, 5)(x).sum().backward()
    assert x.grad.abs().sum() > 0
