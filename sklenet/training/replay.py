"""Training steps on a GPU: captured once as a CUDA graph, then replayed.

A step of such a small network is about forty kernels of a few microseconds each. Python
cannot launch them as fast as the GPU runs them; a graph launches all of them at once.
"""

import os
import threading

import torch

from sklenet.network import LOSSES
from sklenet.training.callbacks import has_batch_hooks

# Number of steps on a side stream before the capture, which torch requires so that cuDNN
# chooses its algorithms and the allocator its buffers.
_WARM_UP = 3
_capturing = threading.Lock()
MIN_REPLAYED = 10  # minimum number of steps per epoch for which a capture pays


def can_be_replayed(net) -> bool:
    """Return whether all steps of the net launch the same kernels.

    Layers and the loss must be given by name, because others may draw random numbers or
    read values back, and no callback may be called at single batches. CUDA graphs have not
    been tested on a GPU yet, so they are used only if the environment variable
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
    """Make steps of the net like its ``train_step``, by replaying the kernels of the first.

    Only the gradient is captured. The step of the optimizer follows as usual, so that any
    optimizer and schedule can be used.

    Parameters
    ----------
    net : TrainingNet
    capture : callable, default=capture_cuda_graph
        Function of a function without arguments and a device. It calls that function, and
        returns its result and a function that repeats it.
    """

    def __init__(self, net, capture=None) -> None:
        self.net = net
        self.capture = capture or capture_cuda_graph
        self.inputs: list[torch.Tensor] = []

    def __call__(self, batch, **fit_params) -> dict:
        """Make a step; return its loss and outputs, which the next step will overwrite."""
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
            # With this, a replay overwrites the gradient instead of adding to it.
            self.net.optimizer_.zero_grad(set_to_none=True)
            return self.net.train_step_single(batch)

        self.step, self.replay = self.capture(gradient, torch.device(self.net.device))


def capture_cuda_graph(function, device: torch.device):
    """Capture `function`; return its result and a function that replays it."""
    # torch allows one capture at a time in a process; the stream belongs to the device.
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
