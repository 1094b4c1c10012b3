import pytest

from sklenet import datasets
from sklenet.datasets.registry import DATASET_NAMES, DATASETS, get_dataset


def test_datasets_are_found_by_name():
    for name in DATASET_NAMES:
        assert get_dataset(name) is DATASETS[name]
        assert get_dataset(name).name == name


def test_an_unknown_name_is_an_error_that_lists_the_names():
    known = "unknown dataset 'mnst'. Known datasets: digits, mnist, fashion_mnist, cifar10"
    with pytest.raises(ValueError, match=known):
        get_dataset("mnst")


def test_every_dataset_has_a_public_loader_and_a_complete_entry():
    for name, dataset in DATASETS.items():
        assert {f"load_{name}", f"fetch_{name}"} & set(datasets.__all__)
        assert dataset.description.splitlines()[1] == ""
        assert set(dataset.n_images) == {"train", "test"}
        assert len(set(dataset.class_names)) == dataset.n_classes >= 2
