"""Training steps on a GPU, captured as a CUDA graph and replayed.

A step of a small network consists of about a hundred kernels of a few microseconds each.
The GPU runs them faster than Python can launch them; a graph launches all of them at once.
"""

import os
from collections.abc import Callable

import torch

from sklenet.network import LOSSES, OPTIMIZERS
from sklenet.training.augment import Augmenter
from sklenet.training.batches import Batches
from sklenet.training.callbacks import has_batch_hooks
from sklenet.training.cuda_graphs import CudaGraphs

MIN_REPLAYED = 10  # number of steps per epoch from which on a capture pays off


def can_be_replayed(net, batches: Batches) -> bool:
    """Return whether all steps of an epoch launch the same kernels, and there are enough.

    Layers, the loss and the optimizer must be given by name, because custom ones may draw
    random numbers, read values back or compute the gradient several times, and nothing may
    be called at single batches. With the environment variable ``SKLENET_CUDA_GRAPHS=0`` no
    step is replayed.
    """
    return (
        torch.device(net.device).type == "cuda"
        and len(batches) >= MIN_REPLAYED
        and os.environ.get("SKLENET_CUDA_GRAPHS") != "0"
        and isinstance(net.module__activation, str)
        and isinstance(net.module__pooling, str)
        and net.module__dropout == 0
        and type(net.criterion_) in LOSSES.values()
        and type(net.optimizer_) in OPTIMIZERS.values()
        and type(batches.augment) in (Augmenter, type(None))
        and not any(has_batch_hooks(callback) for _, callback in net.callbacks_)
        and not any(map(_has_hooks, net.module_.modules()))
    )


def _has_hooks(module: torch.nn.Module) -> bool:
    """Return whether Python code is called when the module or its parameters are used."""
    return any(hooks for name, hooks in vars(module).items() if "_hooks" in name) or any(
        p._backward_hooks or p._post_accumulate_grad_hooks
        for p in module.parameters(recurse=False)
    )


class ReplayedSteps:
    """Replay what one step computes, for each batch of an epoch.

    The graph takes the images of a batch from the dataset, augments them, computes the
    gradient, and adds up losses and correct predictions. The optimizer makes its step as
    usual, because schedules and callbacks change its settings. Every epoch has a new graph,
    because callbacks may change the network, too.

    Parameters
    ----------
    net : TrainingNet
    batches : Batches
    capture : callable, optional
        Function of a function without arguments, a device and a generator, with a method
        ``close``. It returns a function that repeats the computation. If None, it is a
        `CudaGraphs`.
    """

    def __init__(self, net, batches: Batches, capture=None) -> None:
        self.net, self.batches = net, batches
        self.capture = capture or CudaGraphs()
        self.replay: Callable[[], None] | None = None

    def run(self) -> list[float]:
        """Make the steps of an epoch; return the sums that `record_epoch` takes."""
        net, batches = self.net, self.batches
        self.sums = torch.zeros(3, dtype=torch.float64, device=net.device)
        self.replay = None
        order = batches.order().to(net.device)
        for rows in order.split(batches.batch_size):
            if len(rows) == batches.batch_size:
                self._compute(rows)
                net.optimizer_.step()
                net.after_step()
            else:  # the last, smaller batch
                batch = batches.take(rows)
                self.sums += net.compute_sums(net.train_step(batch), batch)
        return self.sums.tolist()

    def _compute(self, rows: torch.Tensor) -> None:
        """Compute the gradient for the images in some rows of the dataset."""
        if self.replay is None:
            self.rows = rows.clone()
            augment = self.batches.augment
            generator = None
            if isinstance(augment, Augmenter):
                generator = augment.get_generator(rows.device)
            device = torch.device(self.net.device)
            self.replay = self.capture(self._compute_gradient, device, generator)
            self.sums.zero_()  # the capture may have computed the step, too
        else:
            self.rows.copy_(rows)
        self.replay()

    def _compute_gradient(self) -> None:
        # A replay then overwrites the gradient rather than adding to it.
        self.net.optimizer_.zero_grad(set_to_none=True)
        batch = self.batches.take(self.rows)
        self.sums += self.net.compute_sums(self.net.train_step_single(batch), batch)

    def close(self) -> None:
        """Free the memory of the last graph, in which the last gradient is, too."""
        if self.replay is not None:
            self.net.optimizer_.zero_grad(set_to_none=True)
        self.replay = None
        self.capture.close()
