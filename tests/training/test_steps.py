import copy
import warnings
from unittest.mock import Mock

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklenet.network import OPTIMIZERS
from sklenet.network.kernels.compiler import load_layers
from sklenet.training.steps import CompiledSteps

needs_kernels = pytest.mark.skipif(load_layers() is None, reason="nothing is compiled")

OPTIONS = [
    ("adam", {}),
    ("adam", {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("adam", {"fused": True, "weight_decay": 0.1}),
    ("adamw", {"weight_decay": 0.1}),
    ("adamw", {"fused": True}),
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.1, "fused": True}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1, "fused": True}),
    ("sgd", {"momentum": 0.9, "dampening": 0.3}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("rmsprop", {}),
    ("rmsprop", {"weight_decay": 0.1, "alpha": 0.8, "eps": 1e-3}),
    ("sdlm", {"weight_decay": 0.1}),
    ("nesterov", {"momentum": 0.8, "nesterov": True, "fused": True}),
    ("nadam", {}),
    ("nadam", {"weight_decay": 0.1, "betas": (0.8, 0.95), "momentum_decay": 0.1}),
    ("nadam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adagrad", {}),
    ("adagrad", {"weight_decay": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("adadelta", {"lr": 1.0}),
    ("adadelta", {"weight_decay": 0.1, "rho": 0.8, "eps": 1e-3}),
]
# With options that no kernel knows.
LEFT_TO_TORCH = [
    ("adam", {"amsgrad": True}),
    ("adam", {"maximize": True}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"momentum": 0.9}),
    ("nadam", {"maximize": True}),
    ("adagrad", {"maximize": True}),
    ("adadelta", {"maximize": True}),
    ("adam", {"lr": torch.tensor(0.01)}),
]


def pair(name, options):
    """Return two equal optimizers of two equal sets of weights, in two groups each."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(7, 5, generator=generator), torch.randn(3, generator=generator)]
    made = []
    for _ in range(2):
        params = [torch.nn.Parameter(w.clone()) for w in weights]
        for p in params:
            p.grad = torch.zeros_like(p)
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.003}]
        own = copy.deepcopy({"lr": 0.01} | options)
        made.append((params, OPTIMIZERS[name](groups, **own)))
    return made


def run(params, scheduler, step, n_steps=6):
    generator = torch.Generator().manual_seed(1)
    for _ in range(n_steps):
        for p in params:
            p.grad.copy_(torch.randn(p.shape, generator=generator))
        step()
        scheduler.step()


@needs_kernels
@pytest.mark.parametrize(("name", "options"), OPTIONS + LEFT_TO_TORCH)
def test_steps_are_the_optimizers(name, options, monkeypatch):
    (params, optimizer), (expected_params, expected) = pair(name, options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as of a schedule that finds no step was made
        scheduler = CosineAnnealingLR(optimizer, 20)
        expected_scheduler = CosineAnnealingLR(expected, 20)
        for _ in range(2):  # two epochs
            steps = CompiledSteps(optimizer)
            own_step = Mock(side_effect=optimizer.step)
            monkeypatch.setattr(optimizer, "step", own_step)
            run(params, scheduler, steps)
            steps.close()
            monkeypatch.undo()
            assert own_step.call_count == (6 if (name, options) in LEFT_TO_TORCH else 1)
            run(expected_params, expected_scheduler, expected.step)
    for p, q in zip(params, expected_params, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    state, expected_state = (o.state_dict() for o in (optimizer, expected))
    torch.testing.assert_close(state, expected_state, rtol=1e-5, atol=1e-6)


@needs_kernels
def test_hooks_are_called():
    (params, optimizer), _ = pair("adam", {})
    calls = []
    optimizer.register_step_post_hook(lambda *args: calls.append(1))
    run(params, Mock(), CompiledSteps(optimizer), 3)
    assert len(calls) == 3


def test_without_kernels_the_optimizer_steps(monkeypatch):
    monkeypatch.setenv("SKLENET_COMPILED", "0")
    (params, optimizer), (expected_params, expected) = pair("adam", {})
    run(params, Mock(), CompiledSteps(optimizer))
    run(expected_params, Mock(), expected.step)
    for p, q in zip(params, expected_params, strict=True):
        assert torch.equal(p, q)


def test_an_optimizer_without_gradients_steps_itself():
    (params, optimizer), _ = pair("adam", {})
    before = copy.deepcopy(params)
    for p in params:
        p.grad = None
    steps = CompiledSteps(optimizer)
    steps()
    steps()
    steps.close()
    assert all(map(torch.equal, params, before))
