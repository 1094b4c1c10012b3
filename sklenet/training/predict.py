"""The outputs of a trained network for a whole dataset."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from sklenet.network.gradient import Forward
from sklenet.network.kernels.compiler import load_layers
from sklenet.training.batches import ByteImages, ImageDataset, equal_batches, has_bytes
from sklenet.training.runtime import one_thread

_BLOCK = 64  # images that the kernels compute together
_TORCH_BATCH = 128


def compute_outputs(module: torch.nn.Module, data: ImageDataset) -> torch.Tensor:
    """Return the outputs of all images, a float64 tensor of shape (n, n_outputs).

    The outputs of an image are bitwise the same whatever the other images are.

    Parameters
    ----------
    module : Module
        Set to evaluation mode.
    data : ImageDataset
        On the device of the module.
    """
    outputs = compute_outputs_by_kernels(module, data)
    if outputs is not None:
        return torch.from_numpy(outputs)
    # All batches are of the same size, for which torch computes images alike.
    with torch.inference_mode():
        tensors = [module(images)[:n] for images, n in equal_batches(data, _TORCH_BATCH)]
    return torch.cat(tensors).double().cpu()


def compute_outputs_by_kernels(
    module: torch.nn.Module, data: ImageDataset
) -> np.ndarray | None:
    """Return what `compute_outputs` does, or None if there are no kernels for it.

    The module is set to evaluation mode in any case.
    """
    if module.training:  # changing the mode takes as long as computing an image
        module.eval()
    if data.pixels.device.type != "cpu":
        return None
    n_blocks = -(-len(data) // _BLOCK)
    n_threads = max(1, min(torch.get_num_threads(), n_blocks))
    try:
        forwards = [Forward(module) for _ in range(n_threads)]
    except NotImplementedError:
        return None
    return _run_kernels(forwards, data)


def _run_kernels(forwards: list[Forward], data: ImageDataset) -> np.ndarray:
    """Return the outputs, computed by as many threads as there are forward passes."""
    starts = range(0, len(data), _BLOCK)
    ends = [len(starts) * k // len(forwards) for k in range(len(forwards) + 1)]
    run = _run_on_bytes if has_bytes(data) else _run_on_canvas

    def compute(k: int) -> np.ndarray:
        blocks = [
            slice(start, min(start + _BLOCK, len(data)))
            for start in starts[ends[k] : ends[k + 1]]
        ]
        return np.concatenate([run(forwards[k], data, block) for block in blocks])

    def compute_in_thread(k: int) -> np.ndarray:
        with one_thread():  # torch's own threads would wait for each other
            return compute(k)

    if len(forwards) == 1:
        return compute(0)
    with ThreadPoolExecutor(len(forwards)) as pool:
        return np.concatenate(list(pool.map(compute_in_thread, range(len(forwards)))))


def _run_on_canvas(forward: Forward, data: ImageDataset, block: slice) -> np.ndarray:
    with torch.inference_mode():
        return forward(data[block][0].numpy())


def _run_on_bytes(forward: Forward, data: ImageDataset, block: slice) -> np.ndarray:
    rows = np.arange(block.start, block.stop)
    if data.rows is not None:
        rows = data.rows.numpy()[rows]
    images = ByteImages(data, load_layers())
    buffer = forward.buffer(math.prod(images.shape), len(rows))
    images.rows = np.full(buffer.shape[1], rows[-1])  # the last image fills up the buffer
    images.rows[: len(rows)] = rows
    images.write(slice(None), buffer)
    return forward.compute(images.shape, len(rows))
