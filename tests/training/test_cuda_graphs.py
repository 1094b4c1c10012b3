"""The order of captures, as far as it can be tested without a GPU.

A stand-in for ``torch.cuda`` has the rules by which torch's graphs share memory.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from sklenet.training import cuda_graphs
from sklenet.training.cuda_graphs import CudaGraphs


class Device:
    """A stand-in for ``torch.cuda`` with one device."""

    def __init__(self):
        self.graphs = []  # those that have been captured and not reset
        self.capturing = set()  # streams
        self.pools = 0
        self.default = self.current = self.make_stream(0)

    def make_stream(self, index):
        return SimpleNamespace(device_index=index, wait_stream=self.wait_stream)

    def wait_stream(self, other):
        assert id(other) not in self.capturing

    def stream(self, stream):
        self.current = stream
        return nullcontext()


class Graph:
    """A stand-in for ``torch.cuda.CUDAGraph``."""

    def __init__(self, device):
        self.device, self.number, self.works = device, None, False

    def capture_begin(self, pool, capture_error_mode):
        # torch has the memory of a pool as long as one of its graphs.
        assert pool is None or pool in [g.number for g in self.device.graphs]
        if pool is None:
            self.device.pools += 1
        self.number = pool or self.device.pools
        self.stream = self.device.current
        assert not self.device.capturing
        self.device.capturing.add(id(self.stream))

    def capture_end(self):
        if id(self.stream) not in self.device.capturing:
            raise RuntimeError("no capture")
        self.device.capturing.remove(id(self.stream))
        self.device.graphs.append(self)
        self.works = True

    def pool(self):
        return self.number

    def reset(self):
        if self in self.device.graphs:
            self.device.graphs.remove(self)
            for graph in self.device.graphs:  # the workspace of cuBLAS is freed
                graph.works = graph.works and graph.stream is not self.stream
        self.works = False

    def replay(self):
        assert self.works


@pytest.fixture
def device(monkeypatch):
    device = Device()
    for name, value in {
        "device": lambda _: nullcontext(),
        "current_device": lambda: 0,
        "current_stream": lambda: device.default,
        "stream": device.stream,
        "synchronize": lambda _=None: None,
        "empty_cache": lambda: None,
        "Stream": device.make_stream,
        "CUDAGraph": lambda: Graph(device),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    cuda_graphs._n_pairs.clear()
    cuda_graphs._free_pairs.clear()
    yield device
    cuda_graphs._n_pairs.clear()
    cuda_graphs._free_pairs.clear()


def step():
    pass


def test_graphs_of_a_fit_share_their_memory(device):
    graphs = CudaGraphs()
    for _ in range(5):  # epochs
        replay = graphs(step, "cuda")
        replay()
        assert len(device.graphs) == 1
    assert device.pools == 1
    graphs.close()
    assert device.graphs == []
    with pytest.raises(AssertionError):
        replay()


def test_fits_at_the_same_time_do_not_disturb_each_other(device):
    long_fit = CudaGraphs()
    replay = long_fit(step, "cuda")
    for _ in range(40):
        short_fit = CudaGraphs()
        for _ in range(3):
            short_fit(step, "cuda")()
            replay()
        short_fit.close()
        replay()
    assert device.pools == 41
    assert cuda_graphs._n_pairs[0] == 2


def test_fits_without_streams_of_their_own_compute_without_a_graph(device):
    fits = [CudaGraphs() for _ in range(20)]
    replays = [fit(step, "cuda") for fit in fits]
    assert sum(replay is step for replay in replays) == 4
    for fit in fits:
        fit.close()
    assert CudaGraphs()(step, "cuda") is not step


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("call", ["warm-up", "capture"])
def test_a_capture_that_fails_leaves_the_device_usable(device, error, call):
    calls = []

    def fail():
        calls.append(None)
        if len(calls) == (1 if call == "warm-up" else 3):
            raise error

    graphs = CudaGraphs()
    graphs(step, "cuda")
    with pytest.raises(error):
        graphs(fail, "cuda")
    graphs.close()
    assert not device.capturing
    for _ in range(3):
        other = CudaGraphs()
        other(step, "cuda")()
        other.close()
    assert device.graphs == []


def test_an_interrupt_right_after_the_beginning_of_a_capture(device, monkeypatch):
    begin = Graph.capture_begin

    def interrupted(self, **kwargs):
        begin(self, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Graph, "capture_begin", interrupted)
        graphs = CudaGraphs()
        with pytest.raises(KeyboardInterrupt):
            graphs(step, "cuda")
        graphs.close()
    other = CudaGraphs()
    other(step, "cuda")()


def test_closing_without_a_capture_needs_no_device():
    CudaGraphs().close()
