"""The outputs of a trained network for a whole dataset."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from sklenet.network.gradient import Forward
from sklenet.training.batches import ImageDataset, equal_batches
from sklenet.training.runtime import one_thread

_BLOCK = 64  # images that the kernels compute together
_TORCH_BATCH = 128


def compute_outputs(module: torch.nn.Module, data: ImageDataset) -> torch.Tensor:
    """Return the outputs of all images, a float64 tensor of shape (n, n_outputs).

    The outputs of an image do not depend on the other images, to the last bit.

    Parameters
    ----------
    module : Module
        Is put into evaluation mode.
    data : ImageDataset
        On the module's device.
    """
    if module.training:  # for each layer, this takes as long as a layer of one image
        module.eval()
    if data.pixels.device.type == "cpu":
        n_blocks = -(-len(data) // _BLOCK)
        n_threads = max(1, min(torch.get_num_threads(), n_blocks))
        try:
            forwards = [Forward(module) for _ in range(n_threads)]
        except NotImplementedError:
            pass
        else:
            return torch.from_numpy(_run_kernels(forwards, data))
    module.eval()
    # All batches are of the same size, for which torch computes images alike.
    with torch.inference_mode():
        outputs = [module(images)[:n] for images, n in equal_batches(data, _TORCH_BATCH)]
    return torch.cat(outputs).double().cpu()


def _run_kernels(forwards: list[Forward], data: ImageDataset) -> np.ndarray:
    """Return the outputs, computed by as many threads as there are forward passes."""
    starts = range(0, len(data), _BLOCK)
    ends = [len(starts) * k // len(forwards) for k in range(len(forwards) + 1)]

    def compute(k: int) -> np.ndarray:
        with torch.inference_mode():
            blocks = (data[s : s + _BLOCK][0] for s in starts[ends[k] : ends[k + 1]])
            return np.concatenate([forwards[k](block.numpy()) for block in blocks])

    def compute_in_thread(k: int) -> np.ndarray:
        with one_thread():  # torch's own threads would wait for each other
            return compute(k)

    if len(forwards) == 1:
        return compute(0)
    with ThreadPoolExecutor(len(forwards)) as pool:
        return np.concatenate(list(pool.map(compute_in_thread, range(len(forwards)))))
