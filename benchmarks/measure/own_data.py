"""Write the embedded digits as custom data: a folder of images, CSV files and arrays.

    python benchmarks/measure/own_data.py

The study ``own_data.toml`` in ``benchmarks/studies`` reads them from ``own_data`` there.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sklenet.datasets import load_digits

FOLDER = Path(__file__).parents[1] / "studies" / "own_data"


def write_digits(folder: Path) -> None:
    """Write the training and the test digits in each format, sorted by class.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    """
    arrays = {}
    for subset in ("train", "test"):
        X, y = load_digits(subset=subset, return_X_y=True)
        order = np.argsort(y, kind="stable")  # the order in which a folder is read
        X, y = X[order], y[order]
        write_images(folder / "scans" / subset, X.reshape(-1, 8, 8), y)
        frame = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(X.shape[1])])
        frame.insert(0, "label", y)
        frame.to_csv(folder / f"{subset}.csv", index=False)
        arrays |= {f"x_{subset}": X.reshape(-1, 8, 8), f"y_{subset}": y}
    np.savez_compressed(folder / "digits.npz", **arrays)


def write_images(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as PNG files into one sub-folder per class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    write_digits(parser.parse_args().folder)
