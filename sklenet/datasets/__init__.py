"""Real images by scikit-learn's loader conventions."""

from sklenet.datasets.folder import load_image_folder
from sklenet.datasets.loaders import (
    fetch_cifar10,
    fetch_fashion_mnist,
    fetch_mnist,
    get_data_home,
    load_digits,
)

__all__ = [
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "get_data_home",
    "load_digits",
    "load_image_folder",
]
