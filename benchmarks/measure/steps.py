"""One training step of LeNet-5 at a batch of 64, written in several ways, in turn.

Each way differs from the plain one in one thing, except the last two; all are one network.
``speed.py step`` records them.
"""

import time
from collections.abc import Callable

import torch
from contenders import BATCH
from torch import nn

ROUNDS, STEPS = 15, 20


class MaxByRowsAndColumns(nn.Module):
    """The largest of 2x2 pixels: of two rows, then of two columns."""

    def forward(self, x):
        x = torch.maximum(x[:, :, 0::2], x[:, :, 1::2])
        return torch.maximum(x[..., 0::2], x[..., 1::2])


def _network(pool: Callable = lambda: nn.MaxPool2d(2), first="activation", inplace=False):
    def stage(n_in, n_out):
        activation = nn.ReLU(inplace=inplace)
        after = [activation, pool()] if first == "activation" else [pool(), activation]
        return [nn.Conv2d(n_in, n_out, 5), *after]

    torch.manual_seed(0)
    return nn.Sequential(
        *stage(1, 6),
        *stage(6, 16),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(inplace=inplace),
        nn.Linear(120, 84),
        nn.ReLU(inplace=inplace),
        nn.Linear(84, 10),
    )


def _by_torch(network, channels_last=False, **options):
    optimizer = torch.optim.Adam(network.parameters(), **options)
    criterion = nn.CrossEntropyLoss()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)

    def step(images, labels):
        if channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        criterion(network(images), labels).backward()
        optimizer.step()

    return step


def _by_kernels():
    from concurrent.futures import ThreadPoolExecutor

    from sklenet.network import LeNet5
    from sklenet.network.gradient import Gradient
    from sklenet.network.losses import CrossEntropy
    from sklenet.training.runtime import one_thread

    network = LeNet5()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    gradient = Gradient(network, CrossEntropy())

    n_helpers = torch.get_num_threads() - 1
    helpers = ThreadPoolExecutor(n_helpers) if n_helpers else None

    def step(images, labels):
        with one_thread():
            last = images.permute(1, 2, 3, 0).contiguous().numpy()
            gradient(last, labels.numpy(), None, helpers)
            optimizer.step()

    return step


WAYS: dict[str, Callable] = {
    "plain": lambda: _by_torch(_network()),
    "pooling before the activation": lambda: _by_torch(_network(first="pool")),
    "activations in place": lambda: _by_torch(_network(inplace=True)),
    "fused Adam": lambda: _by_torch(_network(), fused=True),
    "channels last": lambda: _by_torch(_network(), channels_last=True),
    "pooling by rows and columns": lambda: _by_torch(_network(MaxByRowsAndColumns)),
    "pooling first, in place, fused": lambda: _by_torch(
        _network(first="pool", inplace=True), fused=True
    ),
    "compiled kernels": _by_kernels,
}


def measure(n_threads: int) -> dict[str, list[float]]:
    """Return the milliseconds of a step of each way, round by round."""
    from sklenet.training.runtime import keep_freed_memory, one_blas_thread

    torch.set_num_threads(n_threads)
    keep_freed_memory()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((BATCH, 1, 32, 32), generator=generator)
    labels = torch.randint(0, 10, (BATCH,), generator=generator)
    steps = {name: make() for name, make in WAYS.items()}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    with one_blas_thread:
        for k in range(1 + ROUNDS):
            for name, step in steps.items():
                start = time.perf_counter()
                for _ in range(STEPS):
                    step(images, labels)
                if k > 0:  # the first round makes buffers and state
                    taken[name].append((time.perf_counter() - start) / STEPS * 1000)
    return {name: [round(t, 3) for t in times] for name, times in taken.items()}
