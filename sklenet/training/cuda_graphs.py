"""CUDA graphs that are captured one after the other, in the same memory."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress

import torch

# Calls before a capture, in which cuDNN chooses its algorithms and memory is allocated.
# torch requires at least one.
_N_WARM_UP_CALLS = 2

# torch allows one capture at a time per process.
_lock = threading.Lock()

# torch has 32 streams per device, and gives the first one again after the last one.
_MAX_PAIRS = 16
_n_pairs: Counter[int] = Counter()  # by the index of the device
_free_pairs: dict[int, list[list[torch.cuda.Stream]]] = defaultdict(list)


class CudaGraphs:
    """Capture the kernels that a function launches, again and again.

    torch gives a graph memory of its own, keeps this memory when the graph is deleted, and
    cannot return it to the device while another graph is captured. With a graph for each
    epoch, a long training would fill the device. Here, each graph takes the memory of the
    one before, which must not be replayed any more.

    The address of cuBLAS' workspace is part of a graph. There is one workspace for each
    stream, and torch frees it with any graph that was captured on the stream. Therefore,
    two streams take turns, and no other fit uses them until `close` is called.
    """

    def __init__(self) -> None:
        self._streams: list[torch.cuda.Stream] | None = None
        self._latest: torch.cuda.CUDAGraph | None = None

    def __call__(
        self,
        function: Callable[[], None],
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> Callable[[], None]:
        """Capture the kernels that a function launches; return one that replays them.

        Parameters
        ----------
        function : callable
            Called a few times before.
        device : torch.device
            The same one in all calls.
        generator : torch.Generator, optional
            Generator from which the function draws. Its state is that of the start when
            the first replay begins, and each replay draws other numbers.

        Returns
        -------
        callable
            The function itself if too many fits are running at the same time.
        """
        self._device = device
        with _lock, torch.cuda.device(device):
            if self._streams is None:
                self._streams = _take_streams(torch.cuda.current_device())
                if self._streams is None:
                    return function
                # Memory of the graphs of earlier fits. An older torch raises an error after
                # a capture that failed.
                with suppress(RuntimeError):
                    torch.cuda.empty_cache()
            graph = self._capture(function, self._streams[0], generator)
            self._streams.reverse()
            if self._latest is not None:
                self._latest.reset()
            self._latest = graph

        def replay() -> None:
            with torch.cuda.device(device):
                graph.replay()

        return replay

    def _capture(self, function, stream, generator):
        """Return a new graph in the memory of the latest one."""
        state = generator.get_state() if generator else None
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_N_WARM_UP_CALLS):
                function()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        if generator is not None:
            generator.set_state(state)
            graph.register_generator_state(generator)
        # Not torch.cuda.graph, which frees all unused memory of the device every time.
        with torch.cuda.stream(stream):
            try:
                graph.capture_begin(
                    pool=None if self._latest is None else self._latest.pool(),
                    capture_error_mode="thread_local",  # other threads may train
                )
                function()
                graph.capture_end()
            except BaseException:
                with suppress(RuntimeError):
                    graph.capture_end()
                graph.reset()
                self._streams = None  # never used again, because they may be capturing
                raise
        # The capture has set the state of the generator on this stream, and replays do so
        # on another.
        torch.cuda.current_stream().wait_stream(stream)
        return graph

    def close(self) -> None:
        """Delete the latest graph, and let other fits use the streams."""
        if self._latest is None and self._streams is None:
            return  # without the lock, which may be held forever in a forked process
        with _lock:
            if self._latest is not None:
                with suppress(RuntimeError):  # of earlier kernels
                    torch.cuda.synchronize(self._device)
                self._latest.reset()
                self._latest = None
            if self._streams is not None:
                _free_pairs[self._streams[0].device_index].append(self._streams)
                self._streams = None


def _take_streams(index: int) -> list[torch.cuda.Stream] | None:
    """Return two streams of a device that no fit uses, or None if there are none."""
    if _free_pairs[index]:
        return _free_pairs[index].pop()
    if _n_pairs[index] == _MAX_PAIRS:
        return None
    _n_pairs[index] += 1
    return [torch.cuda.Stream(index), torch.cuda.Stream(index)]
