"""What people would use or write instead of LeNet5Classifier, and it, on one problem.

Each contender is a function of images as bytes, (n, 784) or (n, 3072), and labels. It
trains LeNet-5, on 28x28 pixels with a border of 2 or on 3x32x32, for `EPOCHS` epochs in
batches of `BATCH` by Adam, and returns the seconds of each epoch, a function that prepares
bytes for its `predict`, and `predict`.
"""

import functools
import os
import time
from collections.abc import Callable

BATCH, LR, EPOCHS = 64, 0.001, 2


def tutorial_network(channels: int = 1):
    """Return LeNet-5 as tutorials write it, for MNIST or, with 3 channels, CIFAR-10."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2 if channels == 1 else 0),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def _train(batches, channels: int = 1, device: str = "cpu"):
    """Run the loop that everybody writes; return the seconds per epoch, and the rest."""
    import torch

    torch.manual_seed(0)
    network = tutorial_network(channels).to(device)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for images, labels in batches():
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)

    def predict(images):
        with torch.inference_mode():
            parts = [network(part.to(device)) for part in images.split(1000)]
            return torch.cat(parts).argmax(1).cpu()

    return seconds, _as_tensor, lambda images: predict(images).numpy()


def _as_tensor(X):
    import torch

    shape = (1, 28, 28) if X.shape[1] == 784 else (3, 32, 32)
    return torch.from_numpy(X).view(-1, *shape) / 255


def loop(X, y, device="cpu"):
    """A bare torch loop on tensors in memory, that of the device."""
    import torch

    images, labels = _as_tensor(X).to(device), torch.from_numpy(y).to(device)

    def batches():
        for index in torch.randperm(len(images), device=device).split(BATCH):
            yield images[index], labels[index]

    return _train(batches, images.shape[1], device)


def loop_without_faults(X, y):
    """The same in a process that keeps freed memory."""
    from sklenet.training.runtime import keep_freed_memory

    keep_freed_memory()
    return loop(X, y)


def data_loader(X, y):
    """A tutorial's loop: DataLoader and ToTensor on PIL images."""
    import torch
    from PIL import Image

    from sklenet.datasets.torchvision_guard import import_torchvision

    import_torchvision()  # beside any build of torch
    from torchvision.transforms import ToTensor

    to_tensor = ToTensor()

    class Digits(torch.utils.data.Dataset):
        def __len__(self):
            return len(X)

        def __getitem__(self, k):
            return to_tensor(Image.fromarray(X[k].reshape(28, 28))), int(y[k])

    loader = torch.utils.data.DataLoader(Digits(), batch_size=BATCH, shuffle=True)
    return _train(lambda: loader)


def skorch_defaults(X, y, device="cpu"):
    """skorch's NeuralNetClassifier with its defaults, but no validation split."""
    import torch
    from skorch import NeuralNetClassifier

    torch.manual_seed(0)
    net = NeuralNetClassifier(
        tutorial_network(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        device=device,
        verbose=0,
    )

    def prepare(X):
        return (X.reshape(-1, 1, 28, 28) / 255).astype("float32")

    net.fit(prepare(X), y)
    return net.history[:, "dur"], prepare, net.predict


def sklenet(X, y, **params):
    """LeNet5Classifier, from the bytes of the images; all of fit counts."""
    from sklenet import LeNet5Classifier

    model = LeNet5Classifier(
        lr=LR, batch_size=BATCH, max_epochs=EPOCHS, random_state=0, **params
    )
    return _timed(model, X, y)


def sklenet_by_torch(X, y):
    """The same, with torch's gradient instead of the compiled kernels."""
    from skorch.callbacks import Callback

    class HearsOfBatches(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    return sklenet(X, y, net_params={"callbacks": [("hears", HearsOfBatches())]})


def sklenet_without_graphs(X, y, **params):
    """The same on a GPU, without CUDA graphs."""
    os.environ["SKLENET_CUDA_GRAPHS"] = "0"
    try:
        return sklenet(X, y, **params)
    finally:
        del os.environ["SKLENET_CUDA_GRAPHS"]


def sklenet_unfused(X, y):
    """The same, with Adam's steps by torch's default instead of fused ones."""
    return sklenet(X, y, net_params={"optimizer__fused": False})


def mlp(X, y):
    """scikit-learn's MLPClassifier with 100 hidden units, for scale."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        100, learning_rate_init=LR, batch_size=BATCH, max_iter=EPOCHS, random_state=0
    )
    seconds, _, _ = _timed(model, X / 255, y)
    return seconds, lambda X: X / 255, model.predict


def _timed(model, X, y):
    start = time.perf_counter()
    model.fit(X, y)
    each = (time.perf_counter() - start) / EPOCHS
    return [each] * EPOCHS, lambda X: X, model.predict


Contender = Callable[..., tuple]

FITS: dict[str, Contender] = {
    "loop": loop,
    "loop_without_faults": loop_without_faults,
    "sklenet": sklenet,
    "sklenet_by_torch": sklenet_by_torch,
    "sklenet_unfused": sklenet_unfused,
    "data_loader": data_loader,
    "skorch": skorch_defaults,
    "mlp": mlp,
}
# What a GPU trains; without graphs Python launches each kernel of a step.
ON_GPU: dict[str, Contender] = {
    "loop": functools.partial(loop, device="cuda"),
    "skorch": functools.partial(skorch_defaults, device="cuda"),
    "sklenet": functools.partial(sklenet, device="cuda"),
    "sklenet, without graphs": functools.partial(sklenet_without_graphs, device="cuda"),
    "sklenet, augmented": functools.partial(sklenet, device="cuda", augment="lecun1998"),
}
PREDICTS = ("loop_without_faults", "sklenet", "skorch")
