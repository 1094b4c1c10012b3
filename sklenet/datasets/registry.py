"""The datasets that are known by name: everything about each of them, in one place.

The loaders, studies, the command line and the tests read this registry. A new dataset needs
an entry in `DATASETS` and, to be public, a function in `loaders.py`. Custom datasets, which
:mod:`sklenet.datasets.custom` reads from files and arrays, have the same type.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sklenet._utils.names import suggest_similar
from sklenet.datasets.files import (
    DatasetFiles,
    PublishedFile,
    read_cifar,
    read_digits,
    read_idx,
)
from sklenet.datasets.torchvision_files import (
    TorchvisionFiles,
    convert_letters,
    convert_qmnist,
    convert_svhn,
    name_idx_files,
    transpose_images,
)
from sklenet.images.shapes import ImageShape

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ImageDataset:
    """A dataset of images.

    Datasets are equal if everything except their source is. A copy is the dataset itself.

    Parameters
    ----------
    name : str
        Name in studies, in their records and on the command line.
    title : str
        Name in headings and figures.
    description : str
        Description of the dataset, its ``DESCR``.
    image_shape : tuple of int (c, h, w)
        Shape of one image.
    class_names : tuple of str
        Names of the classes, in the order of the sorted labels. The labels of the datasets
        in the registry are 0, 1, ...
    n_images : dict of str to int
        Number of images of the subsets "train" and "test".
    framing : {"digit", "whole"}
        How models trained on the dataset read image files; see
        :func:`sklenet.framing.read_image`.
    source : DatasetFiles, TorchvisionFiles or callable
        Files that hold the images, or a function of a subset ("train", "test" or "all")
        that returns the images and the labels.
    fingerprint : str, default=""
        Hash of the images and labels of a custom dataset; see
        :func:`sklenet.datasets.fingerprint.compute_fingerprint`. The content of the
        datasets in the registry is fixed.
    """

    name: str
    title: str
    description: str
    image_shape: ImageShape
    class_names: tuple[str, ...]
    n_images: dict[str, int] = field(hash=False)
    framing: Literal["digit", "whole"]
    source: DatasetFiles | TorchvisionFiles | Callable[[str], Arrays] = field(compare=False)
    fingerprint: str = ""

    def __deepcopy__(self, memo) -> "ImageDataset":
        # scikit-learn copies the parameters of every candidate, but arrays can be large.
        return self

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def _mnist_files(torchvision_name: str, *md5s: str) -> DatasetFiles:
    """Return the files of MNIST, or of a dataset in exactly its format."""
    sizes = {
        "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
        "train-labels-idx1-ubyte": 8 + 60_000,
        "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
        "t10k-labels-idx1-ubyte": 8 + 10_000,
    }
    return DatasetFiles(
        torchvision_name,
        folder=f"{torchvision_name}/raw",
        published={
            file: PublishedFile(n_bytes, md5)
            for (file, n_bytes), md5 in zip(sizes.items(), md5s, strict=True)
        },
        read_batches=read_idx,
    )


DIGITS = ImageDataset(
    name="digits",
    title="Digits",
    description="""Optical recognition of handwritten digits

1,797 grey 8x8 images of the digits 0 to 9, with pixel values from 0 to 16, as they ship
with scikit-learn (the test set of the UCI ML handwritten digits). The split into 1,437
training and 360 test images is stratified and fixed. Alpaydin and Kaynak, 1998.
""",
    image_shape=(1, 8, 8),
    class_names=tuple("0123456789"),
    n_images={"train": 1437, "test": 360},
    framing="digit",
    source=read_digits,
)

MNIST = ImageDataset(
    name="mnist",
    title="MNIST",
    description="""MNIST handwritten digits

70,000 grey 28x28 images of the digits 0 to 9, white on black, with pixel values from 0 to
255. The first 60,000 are the training set, the last 10,000 the test set. LeCun, Cortes and
Burges, 1998.
""",
    image_shape=(1, 28, 28),
    class_names=tuple("0123456789"),
    n_images={"train": 60_000, "test": 10_000},
    framing="digit",
    source=_mnist_files(
        "MNIST",
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
)

FASHION_MNIST = ImageDataset(
    name="fashion_mnist",
    title="Fashion-MNIST",
    description="""Fashion-MNIST

70,000 grey 28x28 images of clothing in 10 classes, with pixel values from 0 to 255. The
first 60,000 are the training set, the last 10,000 the test set. Xiao, Rasul and Vollgraf,
2017.
""",
    image_shape=(1, 28, 28),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    n_images={"train": 60_000, "test": 10_000},
    framing="whole",
    source=_mnist_files(
        "FashionMNIST",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)

CIFAR10 = ImageDataset(
    name="cifar10",
    title="CIFAR-10",
    description="""CIFAR-10

60,000 RGB 32x32 images of animals and vehicles in 10 classes, with pixel values from 0 to
255 and the channels in the order red, green, blue. The first 50,000 are the training set,
the last 10,000 the test set. Krizhevsky, 2009.
""",
    image_shape=(3, 32, 32),
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    n_images={"train": 50_000, "test": 10_000},
    framing="whole",
    source=DatasetFiles(
        "CIFAR10",
        folder="cifar-10-batches-py",
        published={
            "data_batch_1": PublishedFile(31035704, "c99cafc152244af753f735de768cd75f"),
            "data_batch_2": PublishedFile(31035320, "d4bba439e000b95fd0a9bffe97cbabec"),
            "data_batch_3": PublishedFile(31035999, "54ebc095f3ab1f0389bbae665268c751"),
            "data_batch_4": PublishedFile(31035696, "634d18415352ddfa80567beed471001a"),
            "data_batch_5": PublishedFile(31035623, "482c414d41f54cd18b22e5b47cb7c3cb"),
            "test_batch": PublishedFile(31035526, "40351d587109b95175f43aff81a1287e"),
            "batches.meta": PublishedFile(158, "5ff9c542aee3614f3951f8cda6e48888"),
        },
        read_batches=read_cifar,
    ),
)

KMNIST = ImageDataset(
    name="kmnist",
    title="Kuzushiji-MNIST",
    description="""Kuzushiji-MNIST

70,000 grey 28x28 images of 10 cursive Japanese characters, white on black, with pixel
values from 0 to 255. The first 60,000 are the training set, the last 10,000 the test set.
Clanuwat et al., 2018.
""",
    image_shape=(1, 28, 28),
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    n_images={"train": 60_000, "test": 10_000},
    framing="whole",
    source=TorchvisionFiles("KMNIST", "KMNIST/raw", name_idx_files("train", "t10k")),
)


def _make_emnist(split: str, what: str, classes: str, n_train: int, n_test: int):
    """Return a split of EMNIST. Its files have the images transposed."""
    return ImageDataset(
        name=f"emnist_{split}",
        title=f"EMNIST {split}",
        description=f"""EMNIST {split}

{n_train + n_test:,} grey 28x28 images of handwritten {what} in {len(classes)} classes,
upright and white on black, with pixel values from 0 to 255. The first {n_train:,} are the
training set, the last {n_test:,} the test set. Cohen, Afshar, Tapson and van Schaik, 2017.
""",
        image_shape=(1, 28, 28),
        class_names=tuple(classes),
        n_images={"train": n_train, "test": n_test},
        framing="digit",
        source=TorchvisionFiles(
            "EMNIST",
            "EMNIST/raw",
            name_idx_files(f"emnist-{split}-train", f"emnist-{split}-test"),
            options={"split": split},
            convert=transpose_images if split != "letters" else convert_letters,
        ),
    )


EMNIST_BALANCED = _make_emnist(
    "balanced",
    "digits and letters",
    # Lower-case letters that look like upper-case ones are in the same class.
    string.digits + string.ascii_uppercase + "abdefghnqrt",
    112_800,
    18_800,
)
EMNIST_LETTERS = _make_emnist(
    "letters", "letters of either case", string.ascii_lowercase, 124_800, 20_800
)
EMNIST_DIGITS = _make_emnist("digits", "digits", string.digits, 240_000, 40_000)

QMNIST = ImageDataset(
    name="qmnist",
    title="QMNIST",
    description="""QMNIST

120,000 grey 28x28 images of the digits 0 to 9, white on black, with pixel values from 0 to
255: the training set of MNIST, reconstructed, and a test set of 60,000 images, of which the
first 10,000 are those of MNIST. Yadav and Bottou, 2019.
""",
    image_shape=(1, 28, 28),
    class_names=tuple(string.digits),
    n_images={"train": 60_000, "test": 60_000},
    framing="digit",
    source=TorchvisionFiles(
        "QMNIST",
        "QMNIST/raw",
        {
            name: (f"qmnist-{name}-images-idx3-ubyte", f"qmnist-{name}-labels-idx2-int")
            for name in ("train", "test")
        },
        convert=convert_qmnist,
    ),
)

USPS = ImageDataset(
    name="usps",
    title="USPS",
    description="""USPS handwritten digits

9,298 grey 16x16 images of the digits 0 to 9 from envelopes, white on black, with pixel
values from 0 to 255. The first 7,291 are the training set, the last 2,007 the test set.
Hull, 1994.
""",
    image_shape=(1, 16, 16),
    class_names=tuple(string.digits),
    n_images={"train": 7291, "test": 2007},
    framing="whole",
    source=TorchvisionFiles("USPS", "", {"train": ("usps.bz2",), "test": ("usps.t.bz2",)}),
)

SVHN = ImageDataset(
    name="svhn",
    title="SVHN",
    description="""Street View House Numbers

99,289 RGB 32x32 images of the digits 0 to 9 from photos of house numbers, with pixel values
from 0 to 255 and the channels in the order red, green, blue. The first 73,257 are the
training set, the last 26,032 the test set. Netzer et al., 2011.
""",
    image_shape=(3, 32, 32),
    class_names=tuple(string.digits),
    n_images={"train": 73_257, "test": 26_032},
    framing="whole",
    source=TorchvisionFiles(
        "SVHN",
        "",
        {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)},
        has_split=True,
        convert=convert_svhn,
    ),
)

DATASETS = {
    dataset.name: dataset
    for dataset in (
        *(DIGITS, MNIST, FASHION_MNIST, CIFAR10, KMNIST),
        *(EMNIST_BALANCED, EMNIST_LETTERS, EMNIST_DIGITS, QMNIST, USPS, SVHN),
    )
}

DATASET_NAMES = tuple(DATASETS)


def get_dataset(name: str) -> ImageDataset:
    """Return the dataset of this name.

    Raises
    ------
    ValueError
        If there is none. The message lists the names.
    """
    if name not in DATASETS:
        raise ValueError(
            f"unknown dataset {name!r}. Known datasets: {', '.join(DATASET_NAMES)}."
            f"{suggest_similar(name, DATASET_NAMES)}"
        )
    return DATASETS[name]
