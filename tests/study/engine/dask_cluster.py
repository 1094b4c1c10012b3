"""Dask schedulers and workers for tests: real processes, and separate machines."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    """Make the kernel kill this process when its parent ends, for whatever reason.

    A killed test cannot stop the processes that it has started. This is called in the
    child, between fork and exec; the thread that starts the child counts as its parent.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(*command, cwd, before=()):
    """Start Python in a folder, as the argument of `before`, and return the process."""
    return subprocess.Popen(
        [*before, sys.executable, *command],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )


def start_scheduler(folder, port, host="127.0.0.1"):
    options = ["--host", host, "--port", str(port), "--no-dashboard"]
    return start("-m", "distributed.cli.dask_scheduler", *options, cwd=folder)


WORKER = ("-m", "distributed.cli.dask_worker")


def start_worker(folder, address, script=WORKER, before=()):
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--nthreads", "1", "--no-dashboard", "--no-nanny"]
    return start(*script, address, *options, cwd=folder, before=before)


def end(process):
    process.kill()
    process.wait()


@contextmanager
def scheduler(folder, host="127.0.0.1"):
    """Start `dask scheduler`, and yield its address."""
    port = free_port()
    process = start_scheduler(folder, port, host)
    try:
        yield f"tcp://{host}:{port}"
    finally:
        end(process)


@contextmanager
def workers(address, folder, n=2, script=WORKER):
    """Start `dask worker` processes, each in its own folder."""
    with ExitStack() as stack:
        processes = []
        for k in range(n):
            processes.append(start_worker(folder / f"worker{k}", address, script))
            stack.callback(end, processes[-1])
        yield processes


class Machine:
    """A network namespace, which acts as another machine on the network.

    Parameters
    ----------
    name : str
        Name of the namespace.
    wire : str
        Name of the interface through which this machine is connected to it.
    """

    def __init__(self, name: str, wire: str) -> None:
        self.name = name
        self.wire = wire

    @property
    def bytes_received(self) -> int:
        return int(Path(f"/sys/class/net/{self.wire}/statistics/tx_bytes").read_text())


@contextmanager
def machines(n=2):
    """Create `n` machines that are connected to this one by a switch.

    Yields
    ------
    (str, list of Machine)
        The address of this machine on the switch, and the other machines.

    Raises
    ------
    OSError, CalledProcessError
        If this is not allowed, or the system is not Linux.
    """
    tag = f"s{os.getpid() % 10**6}"
    own = "10.213.77.254"

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    with ExitStack() as stack:
        ip("link", "add", f"{tag}b", "type", "bridge")
        stack.callback(ip, "link", "del", f"{tag}b")
        ip("addr", "add", f"{own}/24", "dev", f"{tag}b")
        ip("link", "set", f"{tag}b", "up")
        found = []
        for k in range(n):
            name, wire = f"{tag}n{k}", f"{tag}w{k}"
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            peer = ["peer", "name", "eth0", "netns", name]
            ip("link", "add", wire, "type", "veth", *peer)
            ip("link", "set", wire, "master", f"{tag}b", "up")
            ip("-n", name, "addr", "add", f"10.213.77.{k + 1}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            found.append(Machine(name, wire))
        yield own, found
