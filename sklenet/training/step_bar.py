"""The progress bar of a fit, in terminals and notebooks."""

import shutil
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from typing import Any


class StepBar:
    """A progress bar over the steps of a fit, with the remaining time.

    It is only shown where it can be seen: in the main thread of the main process, on a
    terminal or in a notebook. Nets that are pickled or copied during a fit have no bar.

    Parameters
    ----------
    n_epochs : int
    n_steps : int
        Number of steps per epoch.
    verbose : int
        With 0, the bar is not shown.
    """

    _bar: Any = None

    def __init__(self, n_epochs: int, n_steps: int, verbose: int) -> None:
        self._n_epochs = n_epochs
        self._epoch = 0
        if verbose and _is_visible():
            with warnings.catch_warnings():  # about notebooks without widgets
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm
            # tqdm by itself shows no bar on a terminal of unknown size.
            size: dict = {}
            if not _is_notebook():
                columns, lines = shutil.get_terminal_size()
                size = {"ncols": columns - 1, "nrows": lines}
            n_all = n_epochs * n_steps
            self._bar = tqdm(total=n_all, unit="step", leave=False, **size)

    def __getstate__(self) -> dict:
        return {"_n_epochs": self._n_epochs, "_epoch": self._epoch}

    def begin_epoch(self) -> None:
        """Show the number of the next epoch."""
        self._epoch += 1
        if self._bar is not None:
            self._bar.set_description(f"epoch {self._epoch}/{self._n_epochs}")

    def step(self) -> None:
        """Count a step."""
        if self._bar is not None:
            self._bar.update()

    @contextmanager
    def hide(self) -> Iterator[None]:
        """Hide the bar inside the context, so that lines can be printed in its place."""
        if self._bar is None:
            yield
        else:
            with self._bar.external_write_mode():
                yield

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _is_visible() -> bool:
    """Return whether a bar that is printed here and now can be seen by the user."""
    is_main_process = current_process().name == "MainProcess"
    if not is_main_process or threading.current_thread() is not threading.main_thread():
        return False
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal or _is_notebook()


def _is_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
