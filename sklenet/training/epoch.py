"""An epoch by the compiled kernels, and what SDLM does before it."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch

from sklenet.network import OPTIMIZERS
from sklenet.network.gradient import Gradient
from sklenet.network.kernels.compiler import load_layers
from sklenet.training.batches import Batches, ImageDataset
from sklenet.training.callbacks import has_batch_hooks
from sklenet.training.runtime import one_blas_thread, one_thread
from sklenet.training.steps import CompiledSteps

CURVATURE_PATTERNS = 500  # LeCun et al. 1998, section III.B
CHUNK = 1 << 18  # so many pixels, or a batch of more, are put on the canvas together


def estimate_curvature(net, dataset: ImageDataset) -> None:
    """Estimate SDLM's second derivatives on a few patterns, drawn anew every pass.

    All of them count alike, whatever the weights of samples.
    """
    seed = (net.curvature_seed, len(net.history) - net.n_earlier_epochs_)
    generator = np.random.RandomState(np.array(seed, dtype=np.uint32))
    rows = torch.from_numpy(generator.permutation(len(dataset))[:CURVATURE_PATTERNS])
    images, (labels, _) = dataset[rows.to(dataset.pixels.device)]
    with one_thread():  # so that they do not depend on how many there are
        net.optimizer_.estimate(net.module_, images, labels, net.criterion_)


def by_hand(net) -> Gradient | None:
    """Return what gives the net's gradient without torch's graph, or None.

    It is for the CPU, for a module whose layers and loss are those that have names, without
    dropout, for named optimizers, and callbacks that hear nothing of single batches.
    """
    if torch.device(net.device).type != "cpu":
        return None
    if type(net.optimizer_) not in OPTIMIZERS.values():
        return None
    if any(has_batch_hooks(callback) for _, callback in net.callbacks_):
        return None
    try:
        return Gradient(net.module_, net.criterion_)
    except NotImplementedError:
        return None


def run_by_hand(net, gradient: Gradient, batches: Batches) -> None:
    """Make a step of the net after each batch; record the mean loss and the accuracy."""
    sums = np.zeros(3)
    net.module_.train()
    # On one thread a product's sums have one order; parts of a batch are for the others.
    # torch's own would wait for its small sums in a busy loop, and take their time away.
    n_helpers = torch.get_num_threads() - 1
    step = CompiledSteps(net.optimizer_)
    with (
        one_thread(),
        one_blas_thread,
        closing(step),
        ThreadPoolExecutor(max(1, n_helpers)) as pool,
    ):
        for images, labels, weights in _images_last(batches):
            # Fits in several threads have the cores among themselves.
            helpers = pool if n_helpers and one_blas_thread.n_fits == 1 else None
            losses, outputs = gradient(images, labels, weights, helpers)
            if net.l1:
                for p in net.get_penalized_weights():
                    p.grad.add_(p.detach().sign(), alpha=net.l1)
            step()
            net.after_step()
            correct = outputs.argmax(axis=0) == labels
            if weights is None:
                sums += losses.sum(dtype=float), correct.sum(), len(labels)
            else:
                sums += losses.sum(dtype=float), correct @ weights, weights.sum()
    # For callbacks, which expect batches, the epoch is one.
    net.history.new_batch()
    net.history.record_batch("train_loss", sums[0] / sums[2])
    net.history.record_batch("train_batch_size", len(batches.dataset))
    net.record_epoch("train", sums.tolist(), 1)


def _images_last(batches: Batches):
    """Yield images of (channels, height, width, n), labels, and weights or None."""
    size = batches.batch_size
    dataset, kernels = batches.dataset, load_layers()
    is_bytes = dataset.pixels.dtype == torch.uint8 and dataset.pixels.is_contiguous()
    if is_bytes and not batches.augment and kernels:
        yield from _gather_bytes(batches, kernels)
        return
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


def _gather_bytes(batches: Batches, kernels):
    """Yield batches of pixels that are bytes, put on the canvas by one kernel.

    The images of all of them are one buffer.
    """
    dataset = batches.dataset
    canvas = dataset.canvas
    pixels = dataset.pixels.numpy()
    assert dataset.labels is not None
    labels = dataset.labels.numpy()
    weights = None if dataset.weights is None else dataset.weights.double().numpy()
    # What the canvas makes of each byte, and which pixel it puts where.
    all_bytes = torch.arange(256, dtype=torch.uint8)[None]
    values = replace(canvas, image_shape=(1, 1, 256), padding=0)(all_bytes).numpy().ravel()
    numbers = torch.arange(1, pixels.shape[1] + 1, dtype=torch.float64)[None]
    source = replace(canvas, feature_range=None)(numbers).numpy().ravel().astype(int) - 1
    out = kernels.make_buffer((len(source), min(batches.batch_size, len(dataset))))
    for index in batches.order().split(batches.batch_size):
        rows = (index if dataset.rows is None else dataset.rows[index]).numpy()
        if len(rows) != out.shape[1]:
            out = kernels.make_buffer((len(source), len(rows)))
        kernels.images.gather_images(pixels, rows, source, values, canvas.background, out)
        yield (
            out.reshape(*canvas.shape, -1),
            labels[rows],
            None if weights is None else weights[rows],
        )
