"""Measure LeNet5Classifier beside what people would use or write instead.

    python benchmarks/speed.py                # everything; about half an hour alone
    python benchmarks/speed.py --repeats 2 --images 12800

Each contender trains the same network on the same images with the same batch size and
number of epochs, in a process of its own, in turn; ratios are of neighbours in a repeat.
Seconds are of the epochs, as each would report them; the test accuracy says that nobody
wins by training less. It needs the data in ``$SKLENET_DATA`` and a machine that does
nothing else.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "results" / "speed" / "records.jsonl"

BATCH, LR, EPOCHS = 64, 0.001, 2


def load(n_images):
    from sklenet.datasets import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    return X[:n_images], y[:n_images], *fetch_mnist(subset="test", return_X_y=True)


def tutorial_network():
    """Return LeNet-5 on 28x28 pixels and a border of 2, as tutorials write it."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
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


def train(batches) -> tuple:
    """Run the loop that everybody writes; return the network and seconds per epoch."""
    import torch

    torch.manual_seed(0)
    network = tutorial_network()
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
        seconds.append(time.perf_counter() - start)
    return network, seconds


def accuracy_of(network, X, y) -> float:
    import torch

    with torch.inference_mode():
        guesses = network(torch.from_numpy(X).view(-1, 1, 28, 28) / 255).argmax(1)
    return (guesses.numpy() == y).mean()


def loop(X, y, X_test, y_test):
    """A bare torch loop on tensors in memory."""
    import torch

    images = torch.from_numpy(X).view(-1, 1, 28, 28) / 255
    labels = torch.from_numpy(y)

    def batches():
        for index in torch.randperm(len(images)).split(BATCH):
            yield images[index], labels[index]

    network, seconds = train(batches)
    return seconds, accuracy_of(network, X_test, y_test)


def loop_without_faults(X, y, X_test, y_test):
    """The same in a process that keeps freed memory."""
    from sklenet.training.runtime import keep_freed_memory

    keep_freed_memory()
    return loop(X, y, X_test, y_test)


def data_loader(X, y, X_test, y_test):
    """A tutorial's loop: DataLoader and ToTensor on PIL images."""
    import torch
    from PIL import Image

    from sklenet._torchvision import import_torchvision

    import_torchvision()  # beside any build of torch
    from torchvision.transforms import ToTensor

    to_tensor = ToTensor()

    class Digits(torch.utils.data.Dataset):
        def __len__(self):
            return len(X)

        def __getitem__(self, k):
            return to_tensor(Image.fromarray(X[k].reshape(28, 28))), int(y[k])

    loader = torch.utils.data.DataLoader(Digits(), batch_size=BATCH, shuffle=True)
    network, seconds = train(lambda: loader)
    return seconds, accuracy_of(network, X_test, y_test)


def skorch_defaults(X, y, X_test, y_test):
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
        verbose=0,
    )
    images = (X.reshape(-1, 1, 28, 28) / 255).astype("float32")
    net.fit(images, y)
    test = (X_test.reshape(-1, 1, 28, 28) / 255).astype("float32")
    return net.history[:, "dur"], (net.predict(test) == y_test).mean()


def sklenet(X, y, X_test, y_test):
    """LeNet5Classifier, from the bytes of the images."""
    from sklenet import LeNet5Classifier

    start = time.perf_counter()
    model = LeNet5Classifier(
        lr=LR, batch_size=BATCH, max_epochs=EPOCHS, random_state=0, init="torch"
    ).fit(X, y)
    # All of fit, its checks included, is divided among the epochs.
    seconds = [(time.perf_counter() - start) / EPOCHS] * EPOCHS
    return seconds, model.score(X_test, y_test)


def mlp(X, y, X_test, y_test):
    """scikit-learn's MLPClassifier with 100 hidden units, for scale."""
    from sklearn.neural_network import MLPClassifier

    start = time.perf_counter()
    model = MLPClassifier(
        100, learning_rate_init=LR, batch_size=BATCH, max_iter=EPOCHS, random_state=0
    )
    model.fit(X / 255, y)
    seconds = [(time.perf_counter() - start) / EPOCHS] * EPOCHS
    return seconds, model.score(X_test / 255, y_test)


CONTENDERS = {
    "loop": loop,
    "loop_without_faults": loop_without_faults,
    "sklenet": sklenet,
    "data_loader": data_loader,
    "skorch": skorch_defaults,
    "mlp": mlp,
}


def run_one(name: str, n_images: int) -> None:
    """Train one contender in this process; print what it took as JSON."""
    import warnings

    warnings.simplefilter("ignore")
    import torch

    # The first optimizer of a process imports half of torch, whoever makes it.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    data = load(n_images)
    before = resource.getrusage(resource.RUSAGE_SELF)
    seconds, accuracy = CONTENDERS[name](*data)
    after = resource.getrusage(resource.RUSAGE_SELF)
    taken = {
        "contender": name,
        "seconds": [float(s) for s in seconds],
        "faults": (after.ru_minflt - before.ru_minflt) / EPOCHS,
        "peak_mb": after.ru_maxrss / 1024,
        "accuracy": float(accuracy),
    }
    print(json.dumps(taken))


def measure(n_repeats: int, n_images: int) -> None:
    """Record all contenders, interleaved."""
    from sklenet.study.journal import Journal
    from sklenet.study.provenance import provenance

    repeats: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    for _ in range(n_repeats):
        for name, done in repeats.items():
            command = [sys.executable, __file__, "--contender", name]
            process = subprocess.run(
                [*command, "--images", str(n_images)],
                capture_output=True,
                text=True,
                check=True,
            )
            done.append(json.loads(process.stdout.splitlines()[-1]))
            print(name, f"{statistics.median(done[-1]['seconds']):.2f} s", flush=True)
    RECORDS.unlink(missing_ok=True)
    journal = Journal(RECORDS)
    journal.append({"kind": "run", "repeats": n_repeats, "images": n_images} | provenance())
    for name, done in repeats.items():
        per_epoch = [statistics.mean(one["seconds"]) for one in done]
        base = [statistics.mean(one["seconds"]) for one in repeats["loop_without_faults"]]
        journal.append(
            {
                "kind": "fit",
                "contender": name,
                "seconds_per_epoch": per_epoch,
                "ratios": [a / b for a, b in zip(per_epoch, base, strict=True)],
                "faults_per_epoch": [one["faults"] for one in done],
                "peak_mb": [one["peak_mb"] for one in done],
                "accuracy": [one["accuracy"] for one in done],
            }
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        run_one(arguments.contender, arguments.images)
    else:
        measure(arguments.repeats, arguments.images)
