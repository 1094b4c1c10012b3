"""Training steps on a GPU: captured once as a CUDA graph, then replayed.

A step of so small a network is some forty kernels of a few microseconds each, which Python
cannot launch as fast as the GPU runs them. A graph launches all of them at once.
"""

import os
import threading

import torch

from sklenet.network import LOSSES
from sklenet.training.callbacks import has_batch_hooks

# A step on the side, as torch asks for before it captures, lets cuDNN and the allocator
# make up their minds.
_WARM_UP = 3
_capturing = threading.Lock()
MIN_REPLAYED = 10  # steps in an epoch, which are worth a capture


def can_be_replayed(net) -> bool:
    """Return whether nothing in the net's steps differs from one step to the next.

    Layers and the loss must be those that have names, for others may draw random numbers or
    read values back; no callback may ask for single batches. CUDA graphs have not been
    tested on a GPU yet, so they are used only where the environment variable
    ``SKLENET_CUDA_GRAPHS`` is ``1``.
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
    """Make steps of the net like its ``train_step``, by replaying the first one's kernels.

    The gradient is what is captured; the optimizer's step follows it as usual, so that
    every optimizer and schedule will do.

    Parameters
    ----------
    net : TrainingNet
    capture : callable, default=capture_cuda_graph
        Takes a function of no arguments, and a device; returns what the function returned,
        and what repeats it.
    """

    def __init__(self, net, capture=None) -> None:
        self.net = net
        self.capture = capture or capture_cuda_graph
        self.inputs: list[torch.Tensor] = []

    def __call__(self, batch, **fit_params) -> dict:
        """Make a step; return its loss and outputs, which the next step overwrites."""
        images, (labels, weights) = batch
        inputs = [images, labels] if weights is None else [images, labels, weights]
        if not self.inputs:
            self._capture(inputs)
        if images.shape != self.inputs[0].shape:  # the last batch, which is smaller
            return self.net.train_step(batch)
        for own, new in zip(self.inputs, inputs, strict=True):
            own.copy_(new)
        self.replay()
        self.net.optimizer_.step()
        self.net.after_step()
        return self.step

    def _capture(self, inputs: list[torch.Tensor]) -> None:
        self.inputs = [tensor.clone() for tensor in inputs]
        images, labels, *weights = self.inputs
        batch = images, (labels, weights[0] if weights else None)

        def gradient() -> dict:
            # So that a replay overwrites the gradient rather than adds to it.
            self.net.optimizer_.zero_grad(set_to_none=True)
            return self.net.train_step_single(batch)

        self.step, self.replay = self.capture(gradient, torch.device(self.net.device))


def capture_cuda_graph(function, device: torch.device):
    """Run `function` a few times, capture it; return its result and what replays it."""
    # One capture at a time is what torch allows a process, and the stream is the device's.
    with _capturing, torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        mode = "thread_local"  # other threads may train meanwhile
        with torch.cuda.graph(graph, stream=stream, capture_error_mode=mode):
            result = function()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return result, replay
