"""Give damaged and hostile files to whatever opens files of strangers.

    OMP_NUM_THREADS=1 python benchmarks/measure/fuzz.py  # 20,000 inputs, and the record
    python benchmarks/measure/fuzz.py --inputs 500 --kinds pictures --seed 3

Good models, pictures, study files and journals are mutated, in their bytes and in what the
bytes mean: values of a saved model, with a checksum that fits; chunks of a picture, too. An
input may be read or refused with a ValueError or an OSError. Anything else *escapes*: other
exceptions, a program or a connection that is started, a pickle that is read, memory beyond
MEMORY bytes, and a model that loads but does not predict probabilities. What escapes is
written to a folder, so that it can become a test.
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

# The address space that the process may have: files here are of some kilobytes.
MEMORY = 8 << 30

X, Y = load_digits(return_X_y=True)
X, Y = X[:100], Y[:100]

# Values that are wrong almost anywhere.
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


class Escape(Exception):
    """Something that opening a file must not bring about."""


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return `data` with a few bits, bytes or parts changed."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) + 1)
        if rng.random() < 0.5:  # headers are at the start
            place = min(place, rng.randrange(200))
        length = rng.choice((1, 4, 30, 300))
        match rng.randrange(6):
            case 0 if place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place : place + length] = rng.randbytes(length)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                number = rng.choice((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63))
                order = rng.choice(("little", "big"))
                size = rng.choice((4, 8))
                number &= 2 ** (8 * size) - 1
                changed[place : place + size] = number.to_bytes(size, order)
            case 5 if rng.random() < 0.2:
                del changed[place:]
    return bytes(changed)


def mutate_json(rng: random.Random, node):
    """Change something anywhere in a document, in place; return the document."""
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
def _models() -> tuple[tuple[dict[str, str], dict[str, np.ndarray]], ...]:
    """Return the metadata and the tensors of good models of several kinds."""
    small = {"maps": (2, 3), "hidden": (10,), "max_epochs": 1, "random_state": 0}
    of_text = np.array([f"is {k}" for k in range(10)])
    models = [
        LeNet5Classifier(**small).fit(X, Y),
        LeNet5Classifier(**small, optimizer="sgd", class_weight="balanced").fit(
            X, of_text[Y]
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
        ).fit(X, of_text.astype(object)[Y]),
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
    """Return an array with other values, shape or type."""
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
    """Return a safetensors file; that library's own have their entries in any order."""
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
    """Return a mutated file of a saved model; most have a checksum that fits."""
    metadata, tensors = rng.choice(_models())
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
    """Load a model, and use it; return whether it was loaded."""
    path = Path(folder) / "model"
    path.write_bytes(data)
    try:
        model = LeNet5Classifier.load(path)
    except (OSError, ValueError) as error:
        if isinstance(error.__cause__, MemoryError) or "allocate" in str(error):
            raise Escape(f"memory for a file of {len(data):,} bytes: {error}") from error
        return False
    pixels = np.resize(X, (3, model.n_features_in_))
    low, high = model.pixel_range_
    probabilities = model.predict_proba(low + pixels / 16 * (high - low))
    sums = probabilities.sum(axis=1)
    if not np.allclose(sums, 1) or probabilities.shape[1] != len(model.classes_):
        raise Escape(f"probabilities whose sums are {sums}")
    model.save(path)
    return True


# Pictures


@cache
def _pictures() -> tuple[bytes, ...]:
    """Return good image files of many formats and modes."""
    grey = np.full((40, 48), 230, np.uint8)
    grey[8:32, 20:26] = 20  # a one, on paper
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
        except (KeyError, OSError):  # a Pillow without this format
            continue
        files.append(content.getvalue())
    content = io.BytesIO()
    deep.save(content, "PNG")
    return (*files, content.getvalue())


_CHUNKS = (b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"eXIf", b"acTL", b"fdAT", b"gAMA")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the data of each chunk of a PNG."""
    place = 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length


def _mutate_png(rng: random.Random, png: bytes) -> bytes:
    """Return a PNG with chunks changed, of which the checksums fit."""
    chunks = list(_chunks(png))
    for _ in range(rng.randint(1, 3)):
        k = rng.randrange(len(chunks))
        kind, data = chunks[k]
        match rng.randrange(5):
            case 0:
                chunks.insert(rng.randrange(len(chunks) + 1), (kind, data))
            case 1:
                del chunks[k]
            case 2:
                odd = (
                    b"zTXt",
                    b"iTXt",
                    b"iCCP",
                    b"tRNS",
                    b"eXIf",
                    b"acTL",
                    b"fdAT",
                    b"gAMA",
                )
                chunks.insert(k, (rng.choice(odd), rng.randbytes(rng.randrange(40))))
            case 3 if kind == b"IHDR" and len(data) == 13:
                size = struct.pack(">I", rng.choice((0, 1, 20_000, 2**31 - 1, 2**32 - 1)))
                place = rng.choice((0, 4))
                chunks[k] = (kind, data[:place] + size + data[place + 4 :])
            case _:
                chunks[k] = (kind, mutate_bytes(rng, data) if data else b"\0")
        if not chunks:
            break
    mutated = png[:8]
    for kind, data in chunks:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        mutated += struct.pack(">I", len(data)) + kind + data + crc
    return mutated


def make_picture_input(rng: random.Random) -> bytes:
    """Return a mutated image file."""
    picture = rng.choice(_pictures())
    if picture.startswith(b"\x89PNG") and rng.random() < 0.5:
        return _mutate_png(rng, picture)
    return mutate_bytes(rng, picture) if rng.random() < 0.98 else picture


_READ_AS = (((1, 28, 28), "digit"), ((1, 8, 8), "whole"), ((3, 32, 32), "whole"))


def try_picture(data: bytes, folder: Path) -> bool:
    """Read an image file for three kinds of models; return whether one was read."""
    path = Path(folder) / "picture.png"
    path.write_bytes(data)
    was_read = False
    for shape, framing in _READ_AS:
        with contextlib.suppress(OSError, ValueError):
            pixels = read_image(path, shape, framing=framing)
            was_read = True
            if pixels.shape != (np.prod(shape),) or pixels.dtype != np.uint8:
                raise Escape(f"pixels of shape {pixels.shape} and type {pixels.dtype}")
    return was_read


# All kinds


class Kind(NamedTuple):
    """How inputs of a kind are made and tried, and the fraction of all that are."""

    make: Callable[[random.Random], bytes]
    attempt: Callable[[bytes, Path], object]
    part: float
    may_start_programs: bool = False


def kinds() -> dict[str, Kind]:
    """Return all kinds of inputs by name."""
    import fuzz_studies as studies

    journals = partial(studies.try_journal, with_figures=False)
    return own_kinds() | {
        "studies": Kind(studies.make_study_input, studies.try_study, 0.2, True),
        "journals": Kind(studies.make_journal_input, journals, 0.1, True),
    }


def own_kinds() -> dict[str, Kind]:
    """Return the kinds that need no study."""
    return {
        "models": Kind(make_model_input, try_model, 0.4),
        "pictures": Kind(make_picture_input, try_picture, 0.3),
    }


_FORBIDDEN = ("os.system", "os.exec", "pickle.find_class", "socket.connect")
_PROGRAMS = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.spawn")


class _Watch:
    """Note forbidden events of the interpreter, from `forbidden` on."""

    def __init__(self) -> None:
        self.forbidden: tuple[str, ...] = ()
        self.seen: list[str] = []
        sys.addaudithook(self._hear)  # which cannot be taken back

    def _hear(self, event: str, arguments: tuple) -> None:
        if event in self.forbidden:
            self.seen.append(f"{event} {arguments!r}"[:200])


_watch = cache(_Watch)


def try_one(kind: Kind, data: bytes) -> bool:
    """Give one input to what opens it; return whether it was read.

    Raises
    ------
    Exception
        If something escapes.
    """
    watch = _watch()
    watch.seen.clear()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch.forbidden = _FORBIDDEN + (() if kind.may_start_programs else _PROGRAMS)
        try:
            result = kind.attempt(data, Path(folder))
        finally:
            watch.forbidden = ()
    if watch.seen:
        raise Escape(watch.seen[0])
    if isinstance(result, tuple):  # exit code and output of a command
        code, text = result
        if "unexpected error" in text:
            raise Escape(text[-500:])
        return code == 0
    return bool(result)


def run(name: str, kind: Kind, n_inputs: int, seed: int, escapes: Path) -> dict:
    """Try inputs of a kind; return their counts."""
    counts = {"read": 0, "refused": 0, "escaped": 0}
    slowest, start = 0.0, time.perf_counter()
    for k in range(n_inputs):
        data = kind.make(random.Random(f"{seed} {name} {k}"))
        before = time.perf_counter()
        try:
            counts["read" if try_one(kind, data) else "refused"] += 1
        except Exception as error:
            counts["escaped"] += 1
            escapes.mkdir(parents=True, exist_ok=True)
            (escapes / f"{name}_{seed}_{k}").write_bytes(data)
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
    """Try all inputs; return 1 if something escaped."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--inputs", type=int, default=N_INPUTS, help="of all kinds together"
    )
    parser.add_argument("--kinds", nargs="+", help="the default is all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--escapes", type=Path, default=Path("escapes"), help="folder for what escapes"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the record, as a full run does"
    )
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    own = own_kinds()
    every = own if arguments.kinds and set(arguments.kinds) <= set(own) else kinds()
    chosen = {name: every[name] for name in arguments.kinds or every}
    total = sum(kind.part for kind in chosen.values())
    origin = collect_provenance()
    rows = []
    for name, kind in chosen.items():
        n_inputs = round(arguments.inputs * kind.part / total)
        rows.append(run(name, kind, n_inputs, arguments.seed, arguments.escapes))
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
