"""Trained networks that ship with the package."""

from pathlib import Path

from sklenet.estimator import LeNet5Classifier

FOLDER = Path(__file__).parent


def load_pretrained(name: str) -> LeNet5Classifier:
    """Load a trained network that ships with the package.

    The networks are typical results of the project's best recipes, trained with the seed
    whose test accuracy is the median. They take images as the functions in
    `sklenet.datasets` return them, with pixel values from 0 to 255. Training can be
    continued with ``partial_fit``, starting with a new state of the optimizer.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10", "lecun1998"}
        Name of the dataset that the network was trained on. "lecun1998" is the network as
        published in 1998, trained on MNIST one image at a time.

    Returns
    -------
    classifier : LeNet5Classifier
        Fitted estimator.

    Raises
    ------
    ValueError
        If there is no network of this name.

    Examples
    --------
    >>> from sklenet import load_pretrained
    >>> load_pretrained("mnist").classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    names = sorted(path.stem for path in FOLDER.glob("*.sklenet"))
    if name not in names:
        raise ValueError(
            f"The 'name' parameter of load_pretrained must be one of {names}."
            f" Got {name!r} instead."
        )
    return LeNet5Classifier.load(FOLDER / f"{name}.sklenet")
