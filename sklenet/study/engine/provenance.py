"""The origin of records: versions, machine, and revision of the code."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

_PACKAGES = (
    "sklenet",
    "torch",
    "skorch",
    "scikit-learn",
    "torchvision",
    "numpy",
    "pandas",
    "joblib",
)


def collect_provenance() -> dict:
    """Return the versions, the machine and the revision of the code of this process."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in _PACKAGES},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cpu": _cpu_name(),
            "isa": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "revision": _git_revision(),
    }


def _cpu_name() -> str:
    """Return the name, family and model of the processor.

    Virtual machines often report a name without the generation, such as "AMD EPYC". The
    numbers distinguish the processors.
    """
    cpuinfo = Path("/proc/cpuinfo")
    name = platform.processor() or platform.machine()
    if not cpuinfo.is_file():
        return name
    first = cpuinfo.read_text().split("\n\n")[0]
    fields = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in first.splitlines()
        if ":" in line
    )
    numbers = [
        f"{key.removeprefix('cpu ')} {fields[key]}"
        for key in ("cpu family", "model")
        if key in fields
    ]
    name = fields.get("model name", name)
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _git_revision() -> str | None:
    """Return the commit of the source of the package, with "+" if it has changed since.

    Return None if the package is not imported from its repository.
    """
    package = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=package,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")
