"""Training and validation of an epoch by the compiled kernels, and SDLM's estimates."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext

import numpy as np
import torch

from sklenet.network import LOSSES, OPTIMIZERS
from sklenet.network.gradient import Gradient
from sklenet.network.kernels.compiler import load_layers
from sklenet.training.augment import Augmenter
from sklenet.training.batches import (
    Batches,
    ByteImages,
    ImageDataset,
    PlacedImages,
    has_bytes,
)
from sklenet.training.callbacks import has_batch_hooks
from sklenet.training.predict import compute_outputs_by_kernels
from sklenet.training.runtime import one_blas_thread, one_thread
from sklenet.training.steps import CompiledSteps

CURVATURE_PATTERNS = 500  # LeCun et al. 1998, section III.B
CHUNK = 1 << 18  # pixels that are put on the canvas together, if a batch is not larger


def estimate_curvature(net, dataset: ImageDataset) -> None:
    """Estimate SDLM's second derivatives on a few patterns, drawn anew in every pass.

    The weights of the samples are not used.
    """
    seed = (net.curvature_seed, len(net.history) - net.n_earlier_epochs_)
    generator = np.random.RandomState(np.array(seed, dtype=np.uint32))
    rows = torch.from_numpy(generator.permutation(len(dataset))[:CURVATURE_PATTERNS])
    images, (labels, _) = dataset[rows.to(dataset.pixels.device)]
    with one_thread():  # results must not depend on the number of threads
        net.optimizer_.estimate(net.module_, images, labels, net.criterion_)


def _can_use_kernels(net) -> bool:
    """Return whether the net is on a CPU and no callback is called at single batches."""
    return torch.device(net.device).type == "cpu" and not any(
        has_batch_hooks(callback) for _, callback in net.callbacks_
    )


def make_gradient(net) -> Gradient | None:
    """Return the compiled gradient of the net, or None if torch has to compute it.

    There are kernels for the layers, losses and optimizers that are given by name.
    """
    if type(net.optimizer_) not in OPTIMIZERS.values() or not _can_use_kernels(net):
        return None
    try:
        return Gradient(net.module_, net.criterion_)
    except NotImplementedError:
        return None


def train_by_kernels(net, gradient: Gradient, batches: Batches) -> None:
    """Make a step of the net after each batch; record the mean loss and the accuracy."""
    sums = np.zeros(3)
    net.module_.train()
    # Matrix products on one thread add up in one order; other threads compute other parts
    # of a batch. torch's own threads would wait for small sums in a busy loop.
    n_helpers = torch.get_num_threads() - 1
    step = CompiledSteps(net.optimizer_)
    with (
        one_thread(),
        one_blas_thread,
        closing(step),
        ThreadPoolExecutor(n_helpers) if n_helpers else nullcontext() as pool,
    ):
        for images, labels, weights in _images_last(batches):
            # Fits in several threads have the cores among themselves.
            helpers = pool if one_blas_thread.n_fits == 1 else None
            losses, outputs = gradient(images, labels, weights, helpers)
            if net.l1:
                for p in net.get_penalized_weights():
                    p.grad.add_(p.detach().sign(), alpha=net.l1)
            step()
            net.after_step()
            sums += _sum_up(losses, outputs, labels, weights)
    _record(net, "train", sums, len(batches.dataset))


def validate_by_kernels(net, dataset: ImageDataset) -> bool:
    """Record the mean loss and the accuracy of a dataset, if there are kernels for that.

    Returns
    -------
    bool
        Whether it was done. Otherwise torch has to do it.
    """
    kernels = load_layers()
    if kernels is None or not _can_use_kernels(net):
        return False
    if type(net.criterion_) not in LOSSES.values():
        return False
    outputs = compute_outputs_by_kernels(net.module_, dataset)
    if outputs is None:
        return False
    labels, weights = _labels(dataset, slice(None))
    outputs = np.ascontiguousarray(outputs.T, dtype=np.float32)
    losses, _ = kernels.NamedLoss(net.criterion_)(outputs, labels)
    if weights is not None:
        with np.errstate(all="ignore"):
            losses = losses * weights
    _record(net, "valid", _sum_up(losses, outputs, labels, weights), len(dataset))
    return True


def _sum_up(losses, outputs, labels, weights) -> tuple[float, float, float]:
    """Return the sums of the losses, of the weights of correct predictions, of weights."""
    correct = outputs.argmax(axis=0) == labels
    with np.errstate(all="ignore"):  # divergence is reported at the end of the fit
        loss = losses.sum(dtype=float)
    if weights is None:
        return loss, correct.sum(), len(labels)
    return loss, correct @ weights, weights.sum()


def _record(net, prefix: str, sums, n_samples: int) -> None:
    """Record an epoch; for callbacks, which expect batches, it is one batch."""
    sums = [float(value) for value in sums]
    net.history.new_batch()
    net.history.record_batch(f"{prefix}_loss", sums[0] / sums[2])
    net.history.record_batch(f"{prefix}_batch_size", n_samples)
    net.record_epoch(prefix, sums, 1)


def _labels(dataset: ImageDataset, index) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the labels, and the weights in double precision, of some samples."""
    assert dataset.labels is not None
    rows = index if dataset.rows is None else dataset.rows[index]
    labels = dataset.labels[rows].numpy()
    if dataset.weights is None:
        return labels, None
    return labels, dataset.weights[rows].double().numpy()


def _images_last(batches: Batches):
    """Yield the images of each batch, as `Gradient` takes them, labels, and weights."""
    dataset, kernels = batches.dataset, load_layers()
    augment = batches.augment
    if kernels and has_bytes(dataset) and (augment is None or type(augment) is Augmenter):
        yield from _gather_batches(batches, kernels)
        return
    size = batches.batch_size
    chunks = copy.copy(batches)
    n_images = CHUNK // math.prod(dataset.canvas.shape)
    chunks.batch_size = max(1, n_images // size) * size
    for images, (labels, weights) in chunks:
        labels = labels.numpy()
        weights = None if weights is None else weights.double().numpy()
        for start in range(0, len(images), size):
            here = slice(start, start + size)
            # As a matrix: torch transposes those in blocks, other tensors more slowly.
            batch = images[here].flatten(1).t().contiguous()
            batch = batch.view(*images.shape[1:], -1).numpy()
            yield batch, labels[here], None if weights is None else weights[here]


def _gather_batches(batches: Batches, kernels):
    """Yield batches of pixels that are bytes. They are one object, which is changed."""
    dataset, augment = batches.dataset, batches.augment
    labels, weights = _labels(dataset, slice(None))
    order = batches.order().numpy()
    all_rows = order if dataset.rows is None else dataset.rows.numpy()[order]
    images = ByteImages(dataset, kernels)
    size = batches.batch_size
    for start in range(0, len(order), size):
        here = order[start : start + size]
        images.rows = all_rows[start : start + size]
        batch: ByteImages | PlacedImages = images
        if isinstance(augment, Augmenter):
            placed = np.empty((len(here), *images.shape), np.float32)
            images.place(placed.reshape(len(here), -1))
            changed = augment.change_by_kernels(placed, kernels.augmentation)
            batch = PlacedImages(changed, kernels)
        yield batch, labels[here], None if weights is None else weights[here]
