"""Training steps on a GPU, captured once as a CUDA graph and then replayed.

A step of a small network consists of about forty kernels of a few microseconds each. The
GPU runs them faster than Python can launch them; a graph launches all of them at once.
"""

import os
import threading

import torch

from sklenet.network import LOSSES
from sklenet.training.callbacks import has_batch_hooks

# Steps before the capture, in which cuDNN chooses its algorithms and memory is allocated.
# torch requires at least one.
_N_WARM_UP_STEPS = 3
_capture_lock = threading.Lock()
MIN_REPLAYED = 10  # number of steps per epoch from which on a capture pays off


def can_be_replayed(net) -> bool:
    """Return whether all steps of the net launch the same kernels.

    Layers and the loss must be given by name, because custom ones may draw random numbers
    or read values back, and no callback may be called for single batches. Since CUDA
    graphs have not been tested on a GPU yet, they are used only if the environment
    variable ``SKLENET_CUDA_GRAPHS`` is ``1``.
    """
    return (
        torch.device(net.device).type == "cuda"
        and os.environ.get("SKLENET_CUDA_GRAPHS") == "1"
        and isinstance(net.module__activation, str)
        and isinstance(net.module__pooling, str)
        and net.module__dropout == 0
        and type(net.criterion_) in LOSSES.values()
        and not any(has_batch_hooks(callback) for _, callback in net.callbacks_)
    )


class ReplayedSteps:
    """A replacement for the net's ``train_step`` that replays the kernels of one step.

    Only the computation of the gradient is captured. The optimizer makes its step as
    usual, so that all optimizers and schedules can be used.

    Parameters
    ----------
    net : TrainingNet
    capture : callable, default=capture_cuda_graph
        Function of a function without arguments and a device. It returns the result of the
        function, and a function that repeats the computation.
    """

    def __init__(self, net, capture=None) -> None:
        self.net = net
        self.capture = capture or capture_cuda_graph
        self.inputs: list[torch.Tensor] = []

    def __call__(self, batch, **fit_params) -> dict:
        """Make a step, and return loss and outputs, which the next step overwrites."""
        images, (labels, weights) = batch
        inputs = [images, labels] if weights is None else [images, labels, weights]
        if not self.inputs:
            self._capture(inputs)
        if images.shape != self.inputs[0].shape:  # the last, smaller batch
            return self.net.train_step(batch)
        for captured, new in zip(self.inputs, inputs, strict=True):
            captured.copy_(new)
        self.replay()
        self.net.optimizer_.step()
        self.net.after_step()
        return self.step

    def _capture(self, inputs: list[torch.Tensor]) -> None:
        self.inputs = [tensor.clone() for tensor in inputs]
        images, labels, *weights = self.inputs
        batch = images, (labels, weights[0] if weights else None)

        def compute_gradient() -> dict:
            # A replay then overwrites the gradient rather than adding to it.
            self.net.optimizer_.zero_grad(set_to_none=True)
            return self.net.train_step_single(batch)

        device = torch.device(self.net.device)
        self.step, self.replay = self.capture(compute_gradient, device)


def capture_cuda_graph(function, device: torch.device):
    """Capture the kernels of `function`; return its result, and a function to replay it."""
    # torch allows one capture at a time per process.
    with _capture_lock, torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_N_WARM_UP_STEPS):
                function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        mode = "thread_local"  # other threads may train at the same time
        with torch.cuda.graph(graph, stream=stream, capture_error_mode=mode):
            result = function()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return result, replay
