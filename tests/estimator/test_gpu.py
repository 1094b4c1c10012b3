"""What the estimator does on a GPU. These tests are skipped on machines without one."""

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklenet import LeNet5Classifier, presets
from sklenet.datasets import load_digits
from sklenet.training import net as net_module
from sklenet.training.augment import AUGMENTATIONS
from sklenet.training.replay import ReplayedSteps

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch has no GPU here"
)

X, y = load_digits(return_X_y=True)
X, y = X[:600], y[:600]


def make(device="cuda", **params):
    return LeNet5Classifier(
        **{"max_epochs": 3, "batch_size": 40, "random_state": 0, "device": device} | params
    )


def weights_of(model):
    return [p.detach().cpu() for p in model.module_.parameters()]


def assert_same_weights(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def replays(monkeypatch):
    """The numbers of replayed steps, one for each epoch whose steps were replayed."""
    counts = []

    class Counted(ReplayedSteps):
        def run(self):
            counts.append(0)
            return super().run()

        def _compute(self, rows):
            counts[-1] += 1
            super()._compute(rows)

    monkeypatch.setattr(net_module, "ReplayedSteps", Counted)
    return counts


PARAMS = {
    "default": {},
    "auto": {"device": "auto"},
    "smaller last batch": {"batch_size": 45},
    "sigmoid, average": {"activation": "sigmoid", "pooling": "avg", "lr": 0.01},
    "gelu, subsample": {"activation": "gelu", "pooling": "subsample"},
    "scaled_tanh": {"activation": "scaled_tanh", "init": "lecun_normal", "loss": "mse"},
    "bce, label smoothing": {"loss": "bce", "label_smoothing": 0.1},
    "l1 loss and penalty": {"loss": "l1", "l1": 1e-4, "init": "xavier_uniform"},
    "rbf": {"output": "rbf", "loss": "map"},
    "sgd": {"optimizer": "sgd", "lr": 0.01, "lr_schedule": "cosine", "weight_decay": 1e-3},
    "nesterov": {"optimizer": "nesterov", "lr": 0.01, "lr_schedule": "one_cycle"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.05, "lr_schedule": "one_cycle"},
    "nadam": {"optimizer": "nadam"},
    "rmsprop": {"optimizer": "rmsprop"},
    "adagrad": {"optimizer": "adagrad", "lr": 0.01},
    "adadelta": {"optimizer": "adadelta", "lr": 1.0},
    "averaged": {"average": 0.5},
    "dropout": {"dropout": 0.2},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "class weights": {"class_weight": "balanced"},
    "kernel size 3": {"kernel_size": 3, "maps": (4, 8), "hidden": (32,)},
    "partial connections": {"connections": "lecun1998"},
}


@pytest.mark.parametrize("name", PARAMS)
def test_fits_as_on_the_cpu(name):
    on_gpu = make(**PARAMS[name]).fit(X, y)
    assert on_gpu.device_.type == "cuda"
    assert all(p.device.type == "cuda" for p in on_gpu.module_.parameters())
    on_cpu = make(**PARAMS[name] | {"device": "cpu"}).fit(X, y)
    if name != "dropout":  # other random numbers
        # The first steps of these depend on the signs of gradients only.
        rtol = 0.1 if name in ("rmsprop", "adagrad") else 5e-3
        np.testing.assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_, rtol=rtol)
    assert on_gpu.score(X, y) == pytest.approx(on_cpu.score(X, y), abs=0.02)


@pytest.mark.parametrize("name", [n for n in PARAMS if n != "dropout"])
def test_replayed_steps_are_those_that_are_launched_singly(name, replays, monkeypatch):
    replayed = make(**PARAMS[name]).fit(X, y)
    assert len(replays) == replayed.n_iter_
    assert min(replays) >= 10
    monkeypatch.setenv("SKLENET_CUDA_GRAPHS", "0")
    single = make(**PARAMS[name]).fit(X, y)
    assert len(replays) == replayed.n_iter_
    np.testing.assert_allclose(replayed.loss_curve_, single.loss_curve_, rtol=1e-6)
    assert_same_weights(replayed, single)


def test_the_network_of_1998(replays):
    models = {}
    for device in ("cpu", "cuda"):
        params = presets.lecun1998() | {
            "device": device,
            "max_epochs": 2,
            "random_state": 0,
        }
        models[device] = LeNet5Classifier(**params).fit(X, y)
    losses = [model.loss_curve_ for model in models.values()]
    np.testing.assert_allclose(*losses, rtol=1e-2)
    assert models["cuda"].score(X, y) == pytest.approx(models["cpu"].score(X, y), abs=0.02)
    assert replays == [600, 600]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_are_replayed_with_new_numbers(name, replays, monkeypatch):
    images = X if name not in ("saturation", "hue") else np.tile(X, 3)
    params = {"augment": name, "max_epochs": 2}
    if images is not X:
        params["image_shape"] = (3, 8, 8)
    replayed = make(**params).fit(images, y)
    assert replays == [15, 15]
    monkeypatch.setenv("SKLENET_CUDA_GRAPHS", "0")
    single = make(**params).fit(images, y)
    assert_same_weights(replayed, single)


def test_training_is_reproducible():
    params = {"augment": ["lecun1998", "flip"], "pooling": "max"}
    assert_same_weights(make(**params).fit(X, y), make(**params).fit(X, y))


def test_custom_layers_draw_the_same_numbers_in_every_fit():
    state = torch.cuda.get_rng_state()
    assert_same_weights(
        make(activation=torch.nn.RReLU).fit(X, y), make(activation=torch.nn.RReLU).fit(X, y)
    )
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_early_stopping_has_the_images_on_the_gpu_once():
    images = np.tile(X, (20, 16)).astype(np.float32)  # 49 MB
    labels = np.tile(y, 20)
    used = []
    for early_stopping in (False, True):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        make(max_epochs=1, batch_size=1000, early_stopping=early_stopping).fit(
            images, labels
        )
        used.append(torch.cuda.max_memory_allocated() - before)
    assert used[1] < used[0] + images.nbytes / 2


def test_weights_of_samples_count(replays):
    weight = np.linspace(0.1, 2, len(X))
    on_gpu = make().fit(X, y, sample_weight=weight)
    on_cpu = make("cpu").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_, rtol=5e-3)
    assert replays == [15, 15, 15]


def test_training_continues_on_the_other_device():
    model = make(warm_start=True, max_epochs=2).fit(X, y)
    model.set_params(device="cpu").fit(X, y)
    assert {p.device.type for p in model.module_.parameters()} == {"cpu"}
    model.set_params(device="cuda").partial_fit(X, y)
    assert {p.device.type for p in model.module_.parameters()} == {"cuda"}
    assert model.n_iter_ == 5
    assert model.score(X, y) > 0.8


def test_partial_fit_of_few_samples():
    model = make()
    for start in range(0, 600, 20):
        model.partial_fit(X[start : start + 20], y[start : start + 20], classes=range(10))
    assert model.score(X, y) > 0.3


@pytest.mark.parametrize(
    "method", ["predict_proba", "predict_log_proba", "decision_function", "score_samples"]
)
def test_outputs_of_a_row_do_not_depend_on_the_others(method):
    params = {"output": "rbf", "loss": "map"} if method == "score_samples" else {}
    params |= {"views": ["flip", {"shift": 2}]} if method == "predict_log_proba" else {}
    model = make(**params).fit(X, y)
    compute = getattr(model, method)
    whole = compute(X)
    assert isinstance(whole, np.ndarray)
    for rows in ([5], [7, 5], list(range(300))):
        assert np.array_equal(compute(X[rows]), whole[rows])
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(getattr(copy, method)(X), whole, rtol=0, atol=0)
    copy.set_params(device="cpu")
    cpu = make("cpu", **params).fit(X, y)
    assert np.mean(cpu.predict(X) == model.predict(X)) > 0.98


LOADING = """
import pickle, sys
import joblib
import numpy as np
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
pickled, saved, dumped, X, out = sys.argv[1:]
with open(pickled, "rb") as file:
    models = [pickle.load(file), LeNet5Classifier.load(saved), joblib.load(dumped)]
assert {model.device_.type for model in models} == {"cpu"}
np.save(out, [model.predict_proba(np.load(X)) for model in models])
"""


def test_pickles_and_files_work_without_a_gpu(tmp_path):
    model = make().fit(X, y)
    paths = [tmp_path / name for name in ("m.pickle", "m.sklenet", "m.joblib", "X.npy")]
    paths[0].write_bytes(pickle.dumps(model))
    model.save(paths[1])
    joblib.dump(model, paths[2])
    np.save(paths[3], X)
    assert pickle.loads(paths[0].read_bytes()).device_.type == "cuda"
    subprocess.run(
        [sys.executable, "-c", LOADING, *map(str, paths), str(tmp_path / "out.npy")],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    differences = np.load(tmp_path / "out.npy") - model.predict_proba(X)
    assert np.abs(differences).max() < 1e-4


def test_searches_on_one_gpu():
    search = {"lr": [0.001, 0.002]}
    results = {}
    for backend, n_jobs in (("loky", 1), ("loky", 2), ("threading", 2)):
        with joblib.parallel_config(backend, n_jobs=n_jobs):
            found = GridSearchCV(make(), search, cv=2).fit(X, y)
        results[backend, n_jobs] = found.cv_results_["mean_test_score"]
    first, *others = results.values()
    for other in others:
        assert np.array_equal(first, other)


def test_memory_does_not_grow_with_epochs_and_fits():
    reserved = []
    for max_epochs in (3, 60, *[3] * 20):
        make(max_epochs=max_epochs, augment="lecun1998").fit(X, y)
        reserved.append(torch.cuda.memory_reserved())
    # Each graph had at least a segment of 2 MiB of its own.
    assert max(reserved) - reserved[0] < 16 * 2**20


def test_fits_in_threads_do_not_disturb_each_other():
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda _: make(augment="shift").fit(X, y), range(8)))
    for model in models[1:]:
        assert_same_weights(models[0], model)


def test_clones_copies_and_summary():
    model = make().fit(X, y)
    assert clone(model).device == "cuda"
    assert "C1" in str(model.summary())
    assert cross_val_score(make(), X, y, cv=2).min() > 0.5
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    assert buffer.tell() < 3e6


def test_a_callback_that_hears_of_batches_switches_to_single_launches(replays):
    from skorch.callbacks import Callback

    class Hears(Callback):
        n_batches = 0

        def on_batch_end(self, net, **kwargs):
            Hears.n_batches += 1

    make(net_params={"callbacks": [("hears", Hears())]}).fit(X, y)
    assert replays == []
    assert Hears.n_batches == 45


def test_precision_and_other_settings_are_restored():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.fp32_precision, cudnn.conv.fp32_precision
    cudnn.benchmark = True
    try:
        reference = make().fit(X, y)
        assert cudnn.benchmark
        assert not cudnn.deterministic
        assert (matmul.fp32_precision, cudnn.conv.fp32_precision) == before
        matmul.fp32_precision = cudnn.conv.fp32_precision = "tf32"
        try:
            assert_same_weights(reference, make().fit(X, y))
        finally:
            matmul.fp32_precision, cudnn.conv.fp32_precision = before
    finally:
        cudnn.benchmark = False


def test_random_numbers_of_the_device_are_the_users():
    torch.cuda.manual_seed(3)
    expected = torch.rand(4, device="cuda")
    torch.cuda.manual_seed(3)
    make(augment="elastic", dropout=0.1).fit(X, y)
    assert torch.equal(torch.rand(4, device="cuda"), expected)


def test_memory_is_given_back():
    make(augment="lecun1998").fit(X, y)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(5):
        make(augment="lecun1998", max_epochs=4).fit(X, y)
    assert torch.cuda.memory_allocated() <= before + 2**20


def _fit_in_child(device, connection):
    try:
        make(device, max_epochs=1).fit(X, y)
        connection.send("no error")
    except Exception:
        connection.send(traceback.format_exc())


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_forked_processes_say_that_they_cannot_train(device):
    torch.zeros(1, device="cuda")  # from here on children cannot use it
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_fit_in_child, args=(device, there))
    child.start()
    assert here.poll(60)
    answer = here.recv()
    child.join()
    if device == "cuda":
        assert "ValueError: The 'device' parameter is 'cuda'" in answer
    else:
        assert "RuntimeError: This process was forked" in answer


def test_wide_and_colour_images():
    colour = np.tile(X, 3)
    model = make(image_shape=(3, 8, 8), feature_range=None).fit(colour, y)
    assert model.score(colour, y) > 0.5
    wide = (X * 1e6 + 1e9).astype(np.int64)
    assert make().fit(wide, y).score(wide, y) > 0.5


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match=r"'device' parameter is 'cuda:99'.*'cuda:0'"):
        make("cuda:99").fit(X, y)
