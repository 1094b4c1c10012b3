"""Try to open mutated files: saved models, images, study files and journals.

    OMP_NUM_THREADS=1 python benchmarks/measure/fuzz.py  # 20,000 inputs, with a record
    python benchmarks/measure/fuzz.py --inputs 500 --kinds images --seed 3

The bytes of valid files are mutated, and also their content: values of a saved model, with
a matching checksum, and chunks of a PNG image. Each input must be read, or rejected with a
ValueError or an OSError. Everything else is a violation: another exception, a program or a
connection that is started, a pickle that is read, an address space of more than MEMORY
bytes, or a model that loads but does not predict probabilities. Inputs that cause a
violation are written to a folder, so that they can become tests.

In the records, rejected inputs are called "refused", and violations "escaped".
"""

import argparse
import contextlib
import copy
import io
import json
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fuzz_studies import make_journal_input, make_study_input, try_journal, try_study
from PIL import Image
from safetensors import safe_open

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.framing import read_image
from sklenet.persistence.format import compute_checksum
from sklenet.study.engine.journal import Journal
from sklenet.study.engine.provenance import collect_provenance

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "fuzz" / "records.jsonl"
N_INPUTS = 20_000

# Limit of the address space of the process; the files have a few kilobytes.
MEMORY = 8 << 30

X, Y = load_digits(return_X_y=True)
X, Y = X[:100], Y[:100]

# Values that are invalid in most places.
_VALUES = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    1e-320,
    "",
    "rbf",
    "os.system",
    "\ud800",
    "x" * 1000,
    [],
    {},
    [[]],
    [0, 1],
    [1] * 1000,
    {"tuple": []},
    {"tuple": [1, 2]},
    {"pairs": [[[], 1]]},
    {"pairs": [[{"a": 1}, 1]]},
    {"pairs": 1},
)


class Violation(Exception):
    """An effect that opening a file must not have."""


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return `data` with a few bits, bytes or ranges changed."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(changed) + 1)
        if rng.random() < 0.5:  # headers are at the beginning
            position = min(position, rng.randrange(200))
        length = rng.choice((1, 4, 30, 300))
        match rng.randrange(6):
            case 0 if position < len(changed):
                changed[position] ^= 1 << rng.randrange(8)
            case 1:
                changed[position : position + length] = rng.randbytes(length)
            case 2:
                del changed[position : position + length]
            case 3:
                changed[position:position] = changed[position : position + length]
            case 4:
                number = rng.choice((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63))
                order = rng.choice(("little", "big"))
                size = rng.choice((4, 8))
                number &= 2 ** (8 * size) - 1
                changed[position : position + size] = number.to_bytes(size, order)
            case 5 if rng.random() < 0.2:
                del changed[position:]
    return bytes(changed)


def mutate_json(rng: random.Random, node):
    """Change a random node of a JSON document in place; return the document."""
    parent, key = None, None
    document = node
    while isinstance(node, dict | list) and node and (parent is None or rng.random() < 0.8):
        parent = node
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = parent[key]
    if parent is None:
        return copy.deepcopy(rng.choice(_VALUES))
    match rng.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[rng.choice(("a", "tuple", "pairs", f"{key}_", "module"))] = (
                copy.deepcopy(node)
            )
        case 2 if isinstance(parent, list):
            parent *= rng.choice((0, 2, 50))
        case 3 if isinstance(node, int | float):
            parent[key] = node * rng.choice((-1, 0, 2, 10, 1e300))
        case _:
            parent[key] = copy.deepcopy(rng.choice(_VALUES))
    return document


# Models


@cache
def _make_models() -> tuple[tuple[dict[str, str], dict[str, np.ndarray]], ...]:
    """Return the metadata and the tensors of several valid models."""
    small = {"maps": (2, 3), "hidden": (10,), "max_epochs": 1, "random_state": 0}
    names = np.array([f"is {k}" for k in range(10)])
    models = [
        LeNet5Classifier(**small).fit(X, Y),
        LeNet5Classifier(**small, optimizer="sgd", class_weight="balanced").fit(
            X, names[Y]
        ),
        LeNet5Classifier(
            **small | {"maps": (6, 16), "hidden": (9, 16)},
            output="rbf",
            loss="map",
            pooling="subsample",
            connections="lecun1998",
            optimizer="sdlm",
        ).fit(X, Y),
        LeNet5Classifier(
            **small,
            padding=8,
            early_stopping=True,
            augment=["flip", {"shift": 1.0}],
            net_params={"optimizer__betas": (0.8, 0.9)},
        ).fit(X, names.astype(object)[Y]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        read = []
        for model in models:
            model.save(path)
            with safe_open(path, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                read.append((dict(sorted(file.metadata().items())), tensors))
    return tuple(read)


def _mutate_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Return an array with another value, shape or type."""
    match rng.randrange(5):
        case 0:
            changed = array.copy().reshape(-1)
            if changed.size:
                odd = (float("nan"), float("inf"), -1, 0, 1e30)
                with np.errstate(all="ignore"):
                    values = np.array(rng.choice(odd)).astype(array.dtype)
                changed[rng.randrange(changed.size)] = values
            return changed.reshape(array.shape)
        case 1:
            return array[:-1] if array.ndim else array.reshape(1)
        case 2:
            return array.reshape(-1) if array.ndim > 1 else array[None]
        case 3:
            types = (np.float64, np.float16, np.int64, np.uint8, np.bool_, np.complex64)
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return array.astype(rng.choice(types))
        case _:
            return np.zeros((0, *array.shape), array.dtype)


def _to_file(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return a safetensors file with its entries in a fixed order, unlike the library."""
    header: dict[str, dict] = {"__metadata__": metadata}
    data = b""
    for name, array in sorted(tensors.items()):
        kind, bits = array.dtype.kind, 8 * array.itemsize
        code = "BOOL" if kind == "b" else f"{kind.upper()}{bits}"
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def make_model_input(rng: random.Random) -> bytes:
    """Return a mutated file of a saved model, in most cases with a matching checksum."""
    metadata, tensors = rng.choice(_make_models())
    metadata, tensors = dict(metadata), dict(tensors)
    if rng.random() < 0.3:
        return mutate_bytes(rng, _to_file(tensors, metadata))
    document = json.loads(metadata["document"])
    for _ in range(rng.randint(1, 2)):
        name = rng.choice(list(tensors))
        match rng.randrange(8):
            case 0:
                tensors[name] = _mutate_array(rng, tensors[name])
            case 1:
                del tensors[name]
            case 2:
                tensors[f"{name}{rng.choice(('', '0', '/x'))}"] = tensors[name]
            case 3 if isinstance(document, dict):
                group = rng.choice(list(document))
                document[group] = mutate_json(rng, document[group])
            case _:
                document = mutate_json(rng, document)
    metadata["document"] = json.dumps(document)
    if rng.random() < 0.1:
        metadata["document"] = mutate_bytes(rng, metadata["document"].encode()).decode(
            "utf-8", "replace"
        )
    if rng.random() < 0.05:
        del metadata[rng.choice(list(metadata))]
    else:
        metadata["sha256"] = compute_checksum(metadata["document"], tensors)
    return _to_file(tensors, metadata)


def try_model(data: bytes, folder: Path) -> bool:
    """Load a model and use it; return whether it was loaded."""
    path = Path(folder) / "model"
    path.write_bytes(data)
    try:
        model = LeNet5Classifier.load(path)
    except (OSError, ValueError) as error:
        if isinstance(error.__cause__, MemoryError) or "allocate" in str(error):
            raise Violation(f"memory for a file of {len(data):,} bytes: {error}") from error
        return False
    pixels = np.resize(X, (3, model.n_features_in_))
    low, high = model.pixel_range_
    probabilities = model.predict_proba(low + pixels / 16 * (high - low))
    sums = probabilities.sum(axis=1)
    if not np.allclose(sums, 1) or probabilities.shape[1] != len(model.classes_):
        raise Violation(f"probabilities whose sums are {sums}")
    model.save(path)
    return True


# Images


@cache
def _make_images() -> tuple[bytes, ...]:
    """Return valid image files of many formats and modes."""
    grey = np.full((40, 48), 230, np.uint8)
    grey[8:32, 20:26] = 20  # the digit one
    image = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    files = []
    for mode, name, options in (
        ("L", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "PNG", {"transparency": 0}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("L", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("CMYK", "JPEG", {}),
        ("L", "GIF", {}),
        ("L", "BMP", {}),
        ("RGB", "TIFF", {}),
        ("L", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "WEBP", {}),
        ("RGB", "AVIF", {}),
        ("RGB", "JPEG2000", {}),
        ("L", "PPM", {}),
        ("RGB", "ICO", {}),
        ("L", "EPS", {}),
        ("L", "PCX", {}),
        ("RGB", "TGA", {}),
        ("L", "PDF", {}),
    ):
        content = io.BytesIO()
        try:
            image.convert(mode).save(content, name, **options)
        except (KeyError, OSError):  # Pillow was built without this format
            continue
        files.append(content.getvalue())
    content = io.BytesIO()
    deep.save(content, "PNG")
    return (*files, content.getvalue())


_CHUNK_TYPES = (b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"eXIf", b"acTL", b"fdAT", b"gAMA")


def _iter_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the data of each chunk of a PNG file."""
    position = 8
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        start = position + 8
        yield png[position + 4 : start], png[start : start + length]
        position += 12 + length


def _mutate_png(rng: random.Random, png: bytes) -> bytes:
    """Return a PNG file with changed chunks and matching checksums."""
    chunks = list(_iter_chunks(png))
    for _ in range(rng.randint(1, 3)):
        k = rng.randrange(len(chunks))
        kind, data = chunks[k]
        match rng.randrange(5):
            case 0:
                chunks.insert(rng.randrange(len(chunks) + 1), (kind, data))
            case 1:
                del chunks[k]
            case 2:
                data = rng.randbytes(rng.randrange(40))
                chunks.insert(k, (rng.choice(_CHUNK_TYPES), data))
            case 3 if kind == b"IHDR" and len(data) == 13:
                size = struct.pack(">I", rng.choice((0, 1, 20_000, 2**31 - 1, 2**32 - 1)))
                position = rng.choice((0, 4))  # of the width or the height
                chunks[k] = (kind, data[:position] + size + data[position + 4 :])
            case _:
                chunks[k] = (kind, mutate_bytes(rng, data) if data else b"\0")
        if not chunks:
            break
    mutated = png[:8]
    for kind, data in chunks:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        mutated += struct.pack(">I", len(data)) + kind + data + crc
    return mutated


def make_image_input(rng: random.Random) -> bytes:
    """Return a mutated image file."""
    image = rng.choice(_make_images())
    if image.startswith(b"\x89PNG") and rng.random() < 0.5:
        return _mutate_png(rng, image)
    return mutate_bytes(rng, image) if rng.random() < 0.98 else image


_READ_AS = (((1, 28, 28), "digit"), ((1, 8, 8), "whole"), ((3, 32, 32), "whole"))


def try_image(data: bytes, folder: Path) -> bool:
    """Read an image file for three models; return whether it was read for one of them."""
    path = Path(folder) / "image.png"
    path.write_bytes(data)
    was_read = False
    for shape, framing in _READ_AS:
        with contextlib.suppress(OSError, ValueError):
            pixels = read_image(path, shape, framing=framing)
            was_read = True
            if pixels.shape != (np.prod(shape),) or pixels.dtype != np.uint8:
                raise Violation(f"pixels of shape {pixels.shape} and type {pixels.dtype}")
    return was_read


# All kinds


class Kind(NamedTuple):
    """A kind of input.

    Parameters
    ----------
    make : callable
        Function of a random number generator that returns an input.
    attempt : callable
        Function of an input and a folder that opens it, and returns whether it was read,
        or the exit code and the output of a command.
    fraction : float
        Fraction of all inputs.
    may_start_programs : bool, default=False
        Whether other programs may be started.
    """

    make: Callable[[random.Random], bytes]
    attempt: Callable[[bytes, Path], object]
    fraction: float
    may_start_programs: bool = False


KINDS = {
    "models": Kind(make_model_input, try_model, 0.4),
    "images": Kind(make_image_input, try_image, 0.3),
    "studies": Kind(make_study_input, try_study, 0.2, may_start_programs=True),
    "journals": Kind(
        make_journal_input,
        partial(try_journal, with_figures=False),
        0.1,
        may_start_programs=True,
    ),
}

_FORBIDDEN = ("os.system", "os.exec", "pickle.find_class", "socket.connect")
_PROGRAMS = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.spawn")


class _AuditHook:
    """Audit hook that collects the events of the interpreter that are forbidden."""

    def __init__(self) -> None:
        self.forbidden: tuple[str, ...] = ()
        self.seen: list[str] = []
        sys.addaudithook(self._audit)  # a hook cannot be removed

    def _audit(self, event: str, arguments: tuple) -> None:
        if event in self.forbidden:
            self.seen.append(f"{event} {arguments!r}"[:200])


_get_audit_hook = cache(_AuditHook)


def try_one(kind: Kind, data: bytes) -> bool:
    """Open an input; return whether it was read.

    Raises
    ------
    Exception
        If there is a violation.
    """
    hook = _get_audit_hook()
    hook.seen.clear()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hook.forbidden = _FORBIDDEN + (() if kind.may_start_programs else _PROGRAMS)
        try:
            result = kind.attempt(data, Path(folder))
        finally:
            hook.forbidden = ()
    if hook.seen:
        raise Violation(hook.seen[0])
    if isinstance(result, tuple):  # the exit code and the output of a command
        code, text = result
        if "unexpected error" in text:
            raise Violation(text[-500:])
        return code == 0
    return bool(result)


def run(name: str, kind: Kind, n_inputs: int, seed: int, folder: Path) -> dict:
    """Try inputs of a kind, and return the record of their outcomes.

    Parameters
    ----------
    name : str
        Name of the kind.
    kind : Kind
        The kind of input.
    n_inputs, seed : int
        Number of inputs, and the seed with which they are generated.
    folder : Path
        Folder for inputs that cause a violation.
    """
    counts = {"read": 0, "refused": 0, "escaped": 0}
    slowest, start = 0.0, time.perf_counter()
    for k in range(n_inputs):
        data = kind.make(random.Random(f"{seed} {name} {k}"))
        before = time.perf_counter()
        try:
            counts["read" if try_one(kind, data) else "refused"] += 1
        except Exception as error:
            counts["escaped"] += 1
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}_{seed}_{k}").write_bytes(data)
            print(f"{name} {k}: {type(error).__name__}: {error}"[:300], flush=True)
        slowest = max(slowest, time.perf_counter() - before)
    return {
        "kind": name,
        "inputs": n_inputs,
        **counts,
        "seconds": round(time.perf_counter() - start, 1),
        "slowest": round(slowest, 2),
    }


def main() -> int:
    """Try all inputs; return 1 if there was a violation."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument(
        "--inputs",
        type=int,
        default=N_INPUTS,
        help=f"number of inputs of all kinds; default: {N_INPUTS}",
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--violations",
        type=Path,
        default=Path("violations"),
        help="folder for inputs that cause a violation; default: violations",
    )
    parser.add_argument(
        "--record", action="store_true", help="write the record, as a complete run does"
    )
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    chosen = {name: KINDS[name] for name in arguments.kinds or KINDS}
    total = sum(kind.fraction for kind in chosen.values())
    origin = collect_provenance()
    rows = []
    for name, kind in chosen.items():
        n_inputs = round(arguments.inputs * kind.fraction / total)
        rows.append(run(name, kind, n_inputs, arguments.seed, arguments.violations))
        print(rows[-1], flush=True)
    is_full = arguments.kinds is None and arguments.inputs >= N_INPUTS
    if is_full or arguments.record:
        RECORDS.unlink(missing_ok=True)
        journal = Journal(RECORDS)
        journal.append({"kind": "run", "seed": arguments.seed} | origin)
        for row in rows:
            journal.append(row)
    return int(any(row["escaped"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
