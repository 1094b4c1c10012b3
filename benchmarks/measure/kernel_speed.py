"""How many operations the kernels of a training step do per second, beside the peak.

``speed.py kernels`` records them. The peak is what one core reaches with nothing but fused
multiplications and additions on numbers in its registers.
"""

import time
from collections.abc import Callable

import numba
import numpy as np

N_IMAGES = 32  # of one part of a batch of 64
SECONDS = 0.5  # for each kernel


@numba.njit(fastmath={"contract"})
def multiply_and_add(x, n_repeats):
    """Apply y -> a y + b to each number, 16 times, and repeat that.

    The processor computes several vectors of numbers at a time, so that no operation has
    to wait for the one before it.
    """
    a, b = np.float32(0.999), np.float32(0.001)
    for _ in range(n_repeats):
        for t in range(len(x)):
            y = x[t]
            for _ in range(16):
                y = y * a + b
            x[t] = y


def _best(function: Callable[[], object]) -> float:
    """Return the seconds of the fastest call: a shared machine only makes them slower."""
    function()
    best, end = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def measure() -> dict[str, dict[str, float]]:
    """Return GFLOP/s and microseconds per part, by kernel, with the peak as the first."""
    import torch

    from sklenet.network import LeNet5
    from sklenet.network.gradient import Gradient
    from sklenet.network.kernels import convolution
    from sklenet.network.losses import CrossEntropy
    from sklenet.training.runtime import one_blas_thread

    torch.set_num_threads(1)
    module = LeNet5()
    gradient = Gradient(module, CrossEntropy())
    generator = np.random.RandomState(0)
    images = generator.rand(1, 32, 32, N_IMAGES).astype(np.float32)
    labels = generator.randint(0, 10, N_IMAGES)
    gradient(images, labels)
    first, second, *head = gradient.own.layers
    inputs = [images]
    for layer in gradient.own.layers:
        inputs.append(layer.forward(inputs[-1]))
    _, grad_outputs = gradient.losses(inputs[-1], labels)
    grads = [grad_outputs]
    for layer in reversed(gradient.own.layers):
        grads.append(layer.backward(grads[-1].copy()).copy())
    start, length = second.border * N_IMAGES, second.units_shape[2]

    def run_head() -> None:
        x = inputs[2]
        for layer in head:
            x = layer.forward(x)

    def run_head_back() -> None:
        grad = grads[0].copy()
        for layer in reversed(head):
            grad = layer.backward(grad)

    def add_input_gradient() -> None:
        turned = np.ascontiguousarray(second.kernels[:, ::-1, ::-1])
        convolution.correlate_back(
            second.grad_units, turned, second.table_back, N_IMAGES, second.grad_x
        )

    numbers = np.ones(1 << 12, np.float32)
    c1 = 2 * N_IMAGES * 6 * 28 * 28 * 25
    c3 = 2 * N_IMAGES * 16 * 10 * 10 * 6 * 25
    dense = 2 * N_IMAGES * (400 * 120 + 120 * 84 + 84 * 10)
    kernels: dict[str, tuple[float, Callable[[], object]]] = {
        "peak": (
            200 * 2 * 16 * len(numbers),
            lambda: multiply_and_add(numbers, 200),
        ),
        "C1, forward, with pooling": (c1, lambda: first.forward(images)),
        "C1, gradient of the weights": (c1, lambda: first.backward(grads[-2].copy())),
        "C3, forward, with pooling": (c3, lambda: second.forward(inputs[1])),
        "C3, gradient of the weights": (
            c3,
            lambda: convolution.correlate_weights(
                second.grad_units,
                start,
                length,
                second.x,
                second.table,
                N_IMAGES,
                second.grad_kernels,
            ),
        ),
        "C3, gradient of the input": (c3, add_input_gradient),
        "dense layers, forward": (dense, run_head),
        "dense layers, backward": (2 * dense, run_head_back),
        "all of them": (2 * c1 + 3 * c3 + 3 * dense, lambda: gradient(images, labels)),
    }
    with one_blas_thread:
        seconds = {name: _best(function) for name, (_, function) in kernels.items()}
    return {
        name: {"gflops": kernels[name][0] / taken / 1e9, "microseconds": taken * 1e6}
        for name, taken in seconds.items()
    }
