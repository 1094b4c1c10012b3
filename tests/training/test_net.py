"""The skorch net: gradients and recorded metrics."""

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.images.canvas import Canvas
from sklenet.training.batches import ImageDataset
from sklenet.training.build import build_net


@pytest.fixture
def dataset(digits):
    X, y, *_ = digits
    weights = torch.linspace(0.1, 2, 100)
    return ImageDataset(
        torch.tensor(X[:100]), Canvas((1, 8, 8), 0, 16), torch.tensor(y[:100]), weights
    )


def net(**parameters):
    params = LeNet5Classifier(**parameters).get_params()
    return build_net(
        params, Canvas((1, 8, 8), 0, 16), np.arange(10), torch.device("cpu"), (1, 2, 3)
    )


def test_gradients_equal_those_of_backpropagation(dataset):
    """The backward pass is done in two parts, the head and the features."""
    trained = net(dropout=0.0)
    images, (labels, weights) = dataset[torch.arange(32)]
    trained.train_step_single((images, (labels, weights)))
    gradients = [p.grad.clone() for p in trained.module_.parameters()]
    trained.module_.zero_grad()
    losses = torch.nn.functional.cross_entropy(
        trained.module_(images), labels, reduction="none"
    )
    (losses * weights).mean().backward()
    for split, plain in zip(gradients, trained.module_.parameters(), strict=True):
        assert torch.allclose(split, plain.grad, atol=1e-6)


def test_recorded_metrics_are_weighted_means(dataset):
    trained = net(lr=1e-30, batch_size=7)
    trained.partial_fit(dataset, valid=dataset, epochs=1)
    row = trained.history[-1]
    images, (labels, weights) = dataset[torch.arange(100)]
    with torch.no_grad():
        outputs = trained.module_(images)
    losses = torch.nn.functional.cross_entropy(outputs, labels, reduction="none").numpy()
    right = (outputs.argmax(dim=1) == labels).numpy()
    for part in ("train", "valid"):
        assert row[f"{part}_loss"] == pytest.approx(
            np.average(losses, weights=weights), rel=1e-5
        )
        assert row[f"{part}_accuracy"] == pytest.approx(np.average(right, weights=weights))
