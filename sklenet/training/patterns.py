"""Training as in 1998: curvature before each pass, a step after each pattern."""

import copy

import numpy as np
import torch
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

from sklenet.network import OPTIMIZERS
from sklenet.network.pattern import PatternGradient
from sklenet.training.batches import Batches, ImageDataset

CURVATURE_PATTERNS = 500  # LeCun et al. 1998, section III.B
CHUNK = 256  # images put on the canvas together

_OF_BATCHES = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def estimate_curvature(net, dataset: ImageDataset) -> None:
    """Estimate SDLM's second derivatives on a few patterns, drawn anew every pass."""
    seed = (net.curvature_seed, len(net.history))
    generator = np.random.RandomState(np.array(seed, dtype=np.uint32))
    rows = torch.from_numpy(generator.permutation(len(dataset))[:CURVATURE_PATTERNS])
    images, (labels, _) = dataset[rows.to(dataset.pixels.device)]
    net.optimizer_.estimate(net.module_, images, labels, net.criterion_)


def by_hand(net) -> PatternGradient | None:
    """Return what gives a pattern's gradient without torch's graph, or None.

    It is for batches of one pattern on the CPU, named layers and optimizers, and callbacks
    that ask for nothing within an epoch.
    """
    if net.batch_size != 1 or net.l1 or torch.device(net.device).type != "cpu":
        return None
    if type(net.optimizer_) not in OPTIMIZERS.values():
        return None
    if any(_hears_of_batches(callback) for _, callback in net.callbacks_):
        return None
    try:
        return PatternGradient(net.module_, net.criterion_)
    except NotImplementedError:
        return None


def _hears_of_batches(callback: Callback) -> bool:
    return any(
        getattr(type(callback), name) is not getattr(Callback, name) for name in _OF_BATCHES
    )


def run_patterns(net, gradient: PatternGradient, batches: Batches) -> None:
    """Make a step of the net after each pattern; record the mean loss and the accuracy."""
    chunks = copy.copy(batches)
    chunks.batch_size = CHUNK
    sums = [0.0, 0.0, 0.0]
    net.module_.train()
    # Products this small are slower on two threads than on one.
    with threadpool_limits(1, user_api="blas"):
        for images, (labels, weights) in chunks:
            all_weights = [1.0] * len(labels) if weights is None else weights.tolist()
            for image, label, weight in zip(
                images.numpy(), labels.tolist(), all_weights, strict=True
            ):
                loss, outputs = gradient(image, label, weight)
                net.optimizer_.step()
                net.after_step()
                sums[0] += loss
                sums[1] += weight * (outputs.argmax() == label)
                sums[2] += weight
    net.history.record("train_loss", sums[0] / sums[2])
    net.history.record("train_accuracy", float(sums[1] / sums[2]))
