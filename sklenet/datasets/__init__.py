"""Datasets of real images, with scikit-learn's conventions for loaders.

:func:`load_digits` needs no network connection. The ``fetch_*`` functions read files from
the data home, in the folders that torchvision uses, and download missing files.
"""

from sklenet.datasets.folder import load_image_folder
from sklenet.datasets.loaders import (
    fetch_cifar10,
    fetch_emnist_balanced,
    fetch_emnist_digits,
    fetch_emnist_letters,
    fetch_fashion_mnist,
    fetch_kmnist,
    fetch_mnist,
    fetch_qmnist,
    fetch_svhn,
    fetch_usps,
    get_data_home,
    load_digits,
)

__all__ = [
    "fetch_cifar10",
    "fetch_emnist_balanced",
    "fetch_emnist_digits",
    "fetch_emnist_letters",
    "fetch_fashion_mnist",
    "fetch_kmnist",
    "fetch_mnist",
    "fetch_qmnist",
    "fetch_svhn",
    "fetch_usps",
    "get_data_home",
    "load_digits",
    "load_image_folder",
]
