import pytest
import torch

from sklenet.network.layers import ScaledTanh


def test_scaled_tanh_is_the_papers():
    f = ScaledTanh()
    a = torch.tensor([0.0, 1.0, -1.0, 100.0])
    # Appendix A: f(1) = 1 and f(-1) = -1; the amplitude is 1.7159.
    assert f(a).tolist() == pytest.approx([0.0, 1.0, -1.0, 1.7159], abs=1e-4)
