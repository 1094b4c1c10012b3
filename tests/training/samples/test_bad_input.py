"""Wrong calls raise an error that names the cause, and change nothing."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = (array[:60] for array in load_digits(return_X_y=True))
NAN, INF = X.astype(float), X.astype(float)
NAN[3, 5], INF[3, 5] = np.nan, np.inf
IMAGES = [Image.fromarray(image.astype(np.uint8)) for image in X.reshape(-1, 8, 8)]
DATASET = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
ONE_HOT = np.eye(10)[y]
FRAME = pd.DataFrame(X, columns=[f"pixel{k}" for k in range(64)])
ELSEWHERE = torch.optim.Adam([nn.Parameter(torch.zeros(1))])


def fit(data=X, labels=y, *args, **parameters):
    """Return a function that makes an estimator, and one that calls its fit."""
    routed = {k: parameters.pop(k) for k in list(parameters) if k.endswith("_val")}
    return lambda: _quick(**parameters), lambda e: e.fit(data, labels, *args, **routed)


def after_fit(call, **parameters):
    return lambda: _quick(**parameters).fit(X, y), call


def _quick(**parameters):
    return LeNet5Classifier(**({"max_epochs": 1, "random_state": 0} | parameters))


WRONG = {
    # Shapes
    "X of one dimension": (fit(X[0]), ValueError, "Expected 2D array, got 1D"),
    "X of five dimensions": (fit(np.zeros((60, 1, 1, 8, 8))), ValueError, "dim 5"),
    "scalar X": (fit(3.0), ValueError, "Expected 2D array, got scalar"),
    "no samples": (fit(X[:0], y[:0]), ValueError, r"0 sample\(s\)"),
    "no features": (fit(X[:, :0]), ValueError, r"0 feature\(s\)"),
    "one sample": (fit(X[:1], y[:1]), ValueError, "1 class"),
    "channels last": (fit(np.zeros((60, 32, 32, 3))), ValueError, "channels last"),
    "ragged lists": (fit([[1, 2], [1]], [0, 1]), ValueError, "inhomogeneous"),
    "y too short": (fit(X, y[:-1]), ValueError, r"inconsistent.*\[60, 59\]"),
    "y of two dimensions": (fit(X, np.c_[y, y]), ValueError, "1d array"),
    "y missing": (fit(X, None), ValueError, "requires y to be passed"),
    "image shape of another size": (
        fit(image_shape=(7, 9)),
        ValueError,
        r"'image_shape' parameter is \(7, 9\).*63 pixels.*64 features",
    ),
    "images of another shape": (
        fit(X.reshape(-1, 4, 16), image_shape=(8, 8)),
        ValueError,
        "1x4x16, but image_shape is 1x8x8",
    ),
    "image shape of one number": (
        fit(image_shape=(64,)),
        ValueError,
        "'image_shape'.*2 or 3",
    ),
    "text as image shape": (fit(image_shape="8x8"), ValueError, "'image_shape' parameter"),
    "negative image shape": (fit(image_shape=(-8, -8)), ValueError, "positive integers"),
    # Values
    "NaN in X": (fit(NAN), ValueError, "X contains NaN"),
    "infinity in X": (fit(INF), ValueError, "X contains infinity"),
    "text in X": (fit(X.astype(str).astype(object) + "a"), ValueError, "could not convert"),
    "dates in X": (fit(X.astype("M8[D]")), TypeError, "datetime"),
    "complex X": (fit(X + 1j), ValueError, "Complex data not supported"),
    "sparse X": (fit(scipy.sparse.csr_array(X)), TypeError, "Sparse data was passed for X"),
    "a sparse dict": (fit(scipy.sparse.dok_array(X)), TypeError, "Sparse data was passed"),
    "NaN in y": (fit(X, np.where(y > 5, np.nan, y)), ValueError, "y contains NaN"),
    "continuous y": (fit(X, y + 0.5), ValueError, "Unknown label type: continuous"),
    "one class": (fit(X, np.zeros(60)), ValueError, "1 class"),
    # Containers
    "None as X": (fit(None), ValueError, "X is None"),
    "one Pillow image": (fit(IMAGES[0]), ValueError, "a single Pillow image.*list"),
    "images of several sizes": (
        fit([*IMAGES[1:], IMAGES[0].resize((9, 9))]),
        ValueError,
        r"2 shapes, such as \(8, 8\) and \(9, 9\)",
    ),
    "palette images": (
        fit([image.convert("P") for image in IMAGES]),
        ValueError,
        r"mode 'P'.*convert\('L'\)",
    ),
    "images with an alpha channel": (
        fit([image.convert("RGBA") for image in IMAGES]),
        ValueError,
        r"mode 'RGBA'.*convert\('RGB'\)",
    ),
    "a file name": (fit("digits.png"), ValueError, "X is 'digits.png'.*load_image_folder"),
    "file names": (
        fit(["a.png"] * 60),
        ValueError,
        "paths or bytes, such as 'a.png'.*load_image_folder",
    ),
    "paths in a column": (
        fit(pd.Series([Path("a.png")] * 60)),
        ValueError,
        "contains text, paths.*load_image_folder",
    ),
    "a dataset of tensors": (
        fit(DATASET, None),
        TypeError,
        r"X is of type TensorDataset, a torch dataset.*X, y = dataset\.tensors",
    ),
    "a subset of a dataset": (
        fit(torch.utils.data.Subset(DATASET, range(60)), None),
        TypeError,
        r"X is of type Subset, a torch dataset.*np\.stack",
    ),
    "a data loader": (
        fit(DataLoader(DATASET)),
        TypeError,
        "X is of type DataLoader, .* data loader",
    ),
    "pairs": (fit(list(DATASET)), ValueError, r"contains pairs.*zip\(\*pairs\)"),
    "a generator": (fit(row for row in X), TypeError, r"X is of type generator.*np\.stack"),
    "a dict": (
        fit({"image": X}),
        TypeError,
        r"X is of type dict with the keys \['image'\]",
    ),
    "a sparse tensor": (
        fit(torch.from_numpy(X).to_sparse()),
        TypeError,
        r"Sparse data was passed for X.*to_dense\(\)",
    ),
    "text in a frame": (
        fit(FRAME.assign(pixel7="a")),
        ValueError,
        r"1 non-numeric column\(s\): 'pixel7' \(str\)",
    ),
    "images in a frame": (
        fit(pd.DataFrame({"image": list(X)})),
        ValueError,
        r"'image' \(ndarray\).*np\.stack",
    ),
    "a label in a frame": (
        fit(FRAME.assign(label=y)),
        ValueError,
        "65 columns, one column more than the 64 pixels of an image of 1x8x8.*'label'",
    ),
    "an index and a label in a frame": (
        fit(FRAME.assign(**{"Unnamed: 0": 5, "label": y})),
        ValueError,
        "66 columns, 2 columns more than the 64 pixels.*'Unnamed: 0'.*'label'",
    ),
    "a label in an array": (
        fit(np.c_[y, X]),
        ValueError,
        r"one column more than the 64 pixels.*X\[:, 0\], which holds the labels",
    ),
    "an index in an array": (
        fit(np.c_[X, np.arange(60)]),
        ValueError,
        r"one column more than the 64 pixels.*X\[:, -1\], which counts the rows",
    ),
    "a label with an image shape": (
        fit(np.c_[y, X], image_shape=(8, 8)),
        ValueError,
        r"'image_shape' parameter is \(8, 8\).*65 features.*one column more",
    ),
    # Labels
    "one-hot labels": (fit(X, ONE_HOT), ValueError, r"one-hot encoded.*argmax\(axis=1\)"),
    "one-hot labels in a frame": (
        fit(X, pd.get_dummies(pd.Series(y))),
        ValueError,
        "y.*one-hot encoded.*argmax",
    ),
    "one-hot tensors": (fit(X, torch.from_numpy(ONE_HOT)), ValueError, "argmax"),
    "probabilities as labels": (
        fit(X, 0.9 * ONE_HOT + 0.01),
        ValueError,
        "looks probabilities.*argmax",
    ),
    "a missing label": (
        fit(X, [None, *y[1:].tolist()]),
        ValueError,
        "y contains NaN or None: 1 of 60.*position 0",
    ),
    "a missing text label": (
        fit(X, np.array(["a"] * 30 + ["b"] * 29 + [np.nan], object)),
        ValueError,
        "y contains NaN or None: 1 of 60.*position 59",
    ),
    "numbers and text as labels": (
        fit(X, ["a", *y[1:].tolist()]),
        ValueError,
        "y mixes labels of the types int and str",
    ),
    "one class of text": (fit(X, np.array(["b"] * 60)), ValueError, "1 class: 'b'"),
    "one class as numpy integers": (fit(X, np.ones(60, int)), ValueError, "1 class: 1\\."),
    "one-hot labels in partial_fit": (
        (_quick, lambda e: e.partial_fit(X, ONE_HOT, range(10))),
        ValueError,
        "one-hot encoded.*argmax",
    ),
    "one-hot validation labels": (
        fit(X_val=X, y_val=ONE_HOT),
        ValueError,
        "y_val.*one-hot encoded.*argmax",
    ),
    "labels that are not in classes": (
        (_quick, lambda e: e.partial_fit(X, y, ["a", "b"])),
        ValueError,
        r"y has labels \[0, 1, 2, .*\] that are not among the classes \['a', 'b'\]",
    ),
    # Callables
    "an activation of another shape": (
        fit(activation=nn.GLU(1)),
        ValueError,
        r"'activation' parameter is GLU\(dim=1\).*rather than \(2, 6, 28, 28\)",
    ),
    "an activation for a fixed number of channels": (
        fit(activation=nn.PReLU(6)),
        ValueError,
        "'activation' parameter is PReLU.*nn.GELU",
    ),
    "an activation of numpy": (fit(activation=np.tanh), ValueError, "'activation'.*numpy"),
    "an activation that raises": (
        fit(activation=lambda: 1 / 0),
        ValueError,
        "'activation' parameter.*called without arguments, it raises ZeroDivisionError",
    ),
    "a function that returns a class of activation": (
        fit(activation=lambda: nn.GELU),
        ValueError,
        "'activation' parameter.*it returns <class",
    ),
    "a layer as activation": (
        fit(activation=nn.Linear),
        ValueError,
        "'activation'.*Linear",
    ),
    "a class that is not a layer": (
        fit(activation=int),
        ValueError,
        "'activation' parameter is <c",
    ),
    "a pooling of another stride": (
        fit(pooling=nn.MaxPool2d(3)),
        ValueError,
        r"'pooling' parameter is MaxPool2d.*nn\.MaxPool2d\(2\)",
    ),
    "a pooling of one dimension": (fit(pooling=nn.MaxPool1d(2)), ValueError, "'pooling'"),
    "a pooling with more arguments": (
        fit(pooling=nn.LPPool2d),
        ValueError,
        "'pooling' parameter is <class.*called with 2, it raises TypeError",
    ),
    "a pooling function": (
        fit(pooling=F.max_pool2d),
        ValueError,
        r"'pooling' parameter.*lambda x: F\.max_pool2d\(x, 2\)",
    ),
    "an instance of a loss of the whole batch": (
        fit(loss=nn.CrossEntropyLoss()),
        ValueError,
        r"'loss' parameter must give one loss per sample.*reduction='none'",
    ),
    "a function of the whole batch": (
        fit(loss=F.cross_entropy),
        ValueError,
        "'loss' parameter must give one loss per sample",
    ),
    "a loss of other classes": (
        fit(loss=nn.CrossEntropyLoss(weight=torch.ones(3), reduction="none")),
        ValueError,
        "'loss' parameter is CrossEntropyLoss.*weight tensor",
    ),
    "a loss of log-probabilities": (
        fit(loss=nn.NLLLoss(reduction="none")),
        ValueError,
        "'loss' parameter is NLLLoss.*log-probabilities",
    ),
    "a loss of one-hot labels": (
        fit(loss=nn.BCEWithLogitsLoss(reduction="none")),
        ValueError,
        "'loss' parameter is BCEWithLogitsLoss",
    ),
    "a loss without a gradient": (
        fit(loss=lambda outputs, labels: (outputs.argmax(1) != labels).float()),
        ValueError,
        "'loss' parameter.*cannot be differentiated",
    ),
    "a loss that returns a number": (
        fit(loss=lambda outputs, labels: 3),
        ValueError,
        "'loss' parameter.*returns 3 rather than a tensor",
    ),
    "an init with arguments": (
        fit(init=nn.init.constant_),
        ValueError,
        "'init' parameter.*missing 1 required positional argument: 'val'",
    ),
    "an init of kernels only": (fit(init=nn.init.dirac_), ValueError, "'init'.*for Linear"),
    "an init that does nothing": (
        fit(init=lambda layer, generator: None),
        ValueError,
        "'init' parameter.*leaves weights of FirstConv2d.*without finite values",
    ),
    "a layer as init": (fit(init=nn.GELU()), ValueError, "'init' parameter is GELU"),
    "a schedule of the validation loss": (
        fit(lr_schedule=lambda optimizer, n: lr_scheduler.ReduceLROnPlateau(optimizer)),
        ValueError,
        "'lr_schedule' parameter.*ReduceLROnPlateau.*callbacks.*monitor='valid_loss'",
    ),
    "the class of a schedule of the validation loss": (
        fit(lr_schedule=lr_scheduler.ReduceLROnPlateau),
        ValueError,
        "'lr_schedule' parameter.*callbacks",
    ),
    "a schedule of epochs": (
        fit(lr_schedule=lambda epoch: 0.1),
        ValueError,
        "'lr_schedule' parameter.*1 positional argument but 2.*number of steps",
    ),
    "a schedule that returns a learning rate": (
        fit(lr_schedule=lambda optimizer, n_steps: 0.1),
        ValueError,
        "'lr_schedule' parameter.*returns 0.1",
    ),
    "a schedule of another optimizer": (
        fit(lr_schedule=lambda optimizer, n: lr_scheduler.StepLR(ELSEWHERE, 3)),
        ValueError,
        "'lr_schedule' parameter.*another optimizer",
    ),
    "an instance of a schedule": (
        fit(lr_schedule=lr_scheduler.StepLR(ELSEWHERE, 3)),
        ValueError,
        "'lr_schedule' parameter is.*instance belongs to another optimizer",
    ),
    "a schedule with other arguments": (
        fit(lr_schedule=lr_scheduler.LambdaLR),
        ValueError,
        "'lr_schedule' parameter is <class.*not callable",
    ),
    "an instance of an optimizer": (
        fit(optimizer=ELSEWHERE),
        ValueError,
        "'optimizer' parameter is an instance of Adam.*Pass the class Adam.*'lr'",
    ),
    "a layer as optimizer": (
        fit(optimizer=nn.ReLU),
        ValueError,
        "'optimizer' parameter is",
    ),
    "a function that does not return an optimizer": (
        fit(optimizer=lambda weights, lr, **options: 3),
        ValueError,
        "'optimizer' parameter.*makes 3",
    ),
    # Parameters
    "unknown activation": (
        fit(activation="rely"),
        ValueError,
        "'activation'.*'relu'.*'rely'",
    ),
    "unknown pooling": (fit(pooling="mean"), ValueError, "'pooling'.*'avg'.*'mean'"),
    "unknown init": (fit(init="ones"), ValueError, "'init'.*'he_uniform'.*'ones'"),
    "unknown loss": (fit(loss="hinge"), ValueError, "'loss'.*'cross_entropy'.*'hinge'"),
    "unknown optimizer": (
        fit(optimizer="lbfgs"),
        ValueError,
        "'optimizer'.*'adam'.*'lbfgs'",
    ),
    "unknown schedule": (fit(lr_schedule="cyclic"), ValueError, "'lr_schedule'.*'cosine'"),
    "learning rate of 0": (fit(lr=0), ValueError, r"'lr'.*range \(0.*Got 0"),
    "text as learning rate": (fit(lr="fast"), ValueError, "'lr'.*'fast'"),
    "NaN as learning rate": (fit(lr=float("nan")), ValueError, "'lr'.*nan"),
    "negative batch size": (fit(batch_size=-1), ValueError, r"'batch_size'.*\[1"),
    "fractional batch size": (fit(batch_size=0.5), ValueError, "'batch_size'.*an int"),
    "no epochs": (fit(max_epochs=0), ValueError, r"'max_epochs'.*\[1.*Got 0"),
    "negative weight decay": (fit(weight_decay=-0.1), ValueError, "'weight_decay'.*-0.1"),
    "negative l1": (fit(l1=-1), ValueError, "'l1'.*Got -1"),
    "momentum of one": (
        fit(momentum=1),
        ValueError,
        "'momentum'.*Got 1 instead",
    ),
    "unknown connections": (fit(connections="sparse"), ValueError, "'connections' param"),
    "connections of too few maps": (
        fit(connections=[[0]] * 15),
        ValueError,
        "'connections' parameter",
    ),
    "a map without connections": (
        fit(connections=[[]] * 16),
        ValueError,
        "'connections' param",
    ),
    "a repeated connection": (
        fit(connections=[[1, 1]] * 16),
        ValueError,
        "'connections' par",
    ),
    "a connection to an unknown map": (
        fit(connections=[[6]] * 16),
        ValueError,
        "'connections' para",
    ),
    "unknown output": (fit(output="softmax"), ValueError, "'output'.*'rbf'.*'softmax'"),
    "distance loss without codes": (
        fit(loss="distance"),
        ValueError,
        "'loss' parameter is 'distance'.*output='rbf'",
    ),
    "codes without a hidden layer": (
        fit(output="rbf", hidden=()),
        ValueError,
        "'hidden' has no layer",
    ),
    "codes that are too short": (
        fit(output="rbf", hidden=(20, 3)),
        ValueError,
        "'hidden' parameter ends with 3 units: too few.*10 classes",
    ),
    "kernel size of 0": (fit(kernel_size=0), ValueError, "'kernel_size'.*Got 0"),
    "fractional kernel size": (fit(kernel_size=2.5), ValueError, "'kernel_size'.*Got 2.5"),
    "kernels as large as the canvas": (
        fit(kernel_size=11),
        ValueError,
        "'kernel_size' parameter is 11.*leave nothing of 32x32.*need 34x34",
    ),
    "images too small without padding": (
        fit(padding=0),
        ValueError,
        "'kernel_size' parameter is 5.*nothing of 8x8 pixels.*padding=0.*need 16x16",
    ),
    "negative padding": (fit(padding=-1), ValueError, "'padding'.*Got -1"),
    "unknown name of padding": (fit(padding="same"), ValueError, "'padding'.*'canvas'"),
    "hidden as a number": (fit(hidden=120), ValueError, "'hidden' parameter"),
    "hidden layer without units": (
        fit(hidden=(120, 0)),
        ValueError,
        r"'hidden'.*Got \(120, 0\)",
    ),
    "connections that are not lists": (
        fit(connections=[1] * 16),
        ValueError,
        "'connections' parameter.*Got",
    ),
    "maps as a number": (fit(maps=np.array(5)), ValueError, "'maps'.*Got array"),
    "maps as a set": (fit(maps={16, 6}), ValueError, "'maps'"),
    "maps of C1 only": (fit(maps=(6,)), ValueError, r"'maps'.*Got \(6,\) instead"),
    "layer without maps": (fit(maps=(6, 0)), ValueError, r"'maps'.*Got \(6, 0\)"),
    "the connections of 1998 for other maps": (
        fit(maps=(4, 16), connections="lecun1998"),
        ValueError,
        r"'lecun1998', the table of 6 and 16 maps, but 'maps' is \(4, 16\)",
    ),
    "a table with unknown maps": (
        fit(maps=(2, 3), connections=[[0], [1], [2]]),
        ValueError,
        r"C3's 3 maps a list of the maps of S2, 0 to 1",
    ),
    "fractional number of hidden units": (
        fit(hidden=[1.5]),
        ValueError,
        r"'hidden'.*Got \[1.5\]",
    ),
    "dropout of 1": (fit(dropout=1.0), ValueError, "'dropout'.*Got 1.0"),
    "label smoothing of 1": (fit(label_smoothing=1.0), ValueError, "'label_smoothing'"),
    "label smoothing of a custom loss": (
        fit(loss=torch.nn.CrossEntropyLoss, label_smoothing=0.1),
        ValueError,
        "'label_smoothing' parameter is 0.1, but 'loss' is a callable",
    ),
    "text as early_stopping": (fit(early_stopping="yes"), ValueError, "'early_stopping'"),
    "patience of 0": (fit(n_iter_no_change=0), ValueError, "'n_iter_no_change'"),
    "negative tolerance": (fit(tol=-1), ValueError, "'tol'"),
    "validation fraction of 1": (
        fit(validation_fraction=1.0),
        ValueError,
        "'validation_fraction'",
    ),
    "a class with a single sample": (
        fit(X, np.minimum(np.arange(60), 1), early_stopping=True),
        ValueError,
        r"'validation_fraction' parameter is 0.1.*class with 1 sample",
    ),
    "a class of which all samples would be held out": (
        fit(X[:20], np.arange(20) % 10, early_stopping=True, validation_fraction=0.9),
        ValueError,
        "'validation_fraction' parameter is 0.9.*class with 2 sample",
    ),
    "unknown class weight": (
        fit(class_weight="even"),
        ValueError,
        "'class_weight'.*balanced",
    ),
    "a weight of an unknown class": (
        fit(class_weight={77: 1}),
        ValueError,
        "not in class_weight",
    ),
    "a weight of an unknown text class": (
        fit(X, np.where(y % 2, "odd", "even"), class_weight={"odd": 2, "evem": 1}),
        ValueError,
        r"'class_weight' parameter has the key 'evem'.*\['even', 'odd'\]",
    ),
    "a weight of a fractional class": (
        fit(class_weight={0.5: 1}),
        ValueError,
        "'class_weight' parameter has the key 0.5",
    ),
    "two weights of a class": (
        fit(class_weight={0: 1, "0": 2}),
        ValueError,
        "'class_weight' parameter has two keys, 0 and '0', for the class 0",
    ),
    "a negative class weight": (
        fit(class_weight={0: -1}),
        ValueError,
        "'class_weight' parameter.*Got -1 for the class 0",
    ),
    "text as class weight": (
        fit(class_weight={0: "2"}),
        ValueError,
        "'class_weight' parameter.*Got '2' for the class 0",
    ),
    "NaN as class weight": (fit(class_weight={0: NAN[3, 5]}), ValueError, "'class_weight'"),
    "a weight of an unknown class in partial_fit": (
        (lambda: _quick(class_weight={77: 1}), lambda e: e.partial_fit(X, y, range(10))),
        ValueError,
        "'class_weight' parameter has the key 77",
    ),
    "text as random state": (fit(random_state="a"), ValueError, "'random_state'"),
    "text as verbose": (fit(verbose="very"), ValueError, "'verbose'"),
    "net_params that other parameters set": (
        fit(net_params={"batch_size": 8}),
        ValueError,
        "'net_params' parameter has 'batch_size', which other parameters",
    ),
    **{
        f"net_params of {name}": (
            fit(optimizer="sgd", net_params={name: 0.5}),
            ValueError,
            f"'net_params' parameter has '{name}', which other parameters of"
            f" LeNet5Classifier decide: use '{instead}' instead",
        )
        for name, instead in {
            "lr": "lr",
            "max_epochs": "max_epochs",
            "verbose": "verbose",
            "device": "device",
            "warm_start": "warm_start",
            "optimizer": "optimizer",
            "optimizer__lr": "lr",
            "optimizer__momentum": "momentum",
            "optimizer__weight_decay": "weight_decay",
            "module": "maps",
            "module__activation": "activation",
            "module__seed": "random_state",
            "criterion": "loss",
            "criterion__weight": "loss",
            "criterion__label_smoothing": "label_smoothing",
            "dataset": "X",
            "iterator_train": "batch_size",
            "iterator_train__shuffle": "random_state",
            "iterator_valid__batch_size": "batch_size",
            "train_split": "validation_fraction",
            "predict_nonlinearity": "loss",
            "l1": "l1",
            "average": "average",
            "schedule": "lr_schedule",
            "curvature_seed": "random_state",
        }.items()
    },
    "momentum of an optimizer without momentum": (
        fit(net_params={"optimizer__momentum": 0.5}),
        ValueError,
        "'net_params' parameter has 'optimizer__momentum'.*use 'momentum' instead",
    ),
    "net_params that skorch lacks": (
        fit(net_params={"callback": []}),
        ValueError,
        "'net_params' parameter has 'callback', which is not a parameter",
    ),
    "history in net_params": (
        fit(net_params={"history": []}),
        ValueError,
        "'net_params' parameter has 'history'",
    ),
    "a number as key of net_params": (fit(net_params={3: 1}), ValueError, "the key 3"),
    "an option that the optimizer lacks": (
        fit(net_params={"optimizer__betaz": 1}),
        TypeError,
        "'net_params' parameter has options that optimizer='adam'.*'betaz'",
    ),
    "an option out of range": (
        fit(net_params={"optimizer__betas": (2, 3)}),
        ValueError,
        "'net_params' parameter has options.*Invalid beta",
    ),
    "a loss of the whole batch": (
        fit(loss=torch.nn.CrossEntropyLoss),
        ValueError,
        r"'loss' parameter must give one loss per sample.*reduction='none'",
    ),
    "a learning rate that leads to divergence": (
        fit(optimizer="sgd", lr=1e30, max_epochs=5),
        ValueError,
        r"diverged.*lr=1e\+30",
    ),
    "a list as net_params": (fit(net_params=[1]), ValueError, "'net_params'"),
    "unknown device": (fit(device="gpu"), ValueError, "'device' parameter is 'gpu'.*'cpu'"),
    "a torch device that is not available": (
        fit(device=torch.device("cuda:99")),
        ValueError,
        "'device' parameter is 'cuda:99'",
    ),
    "a GPU that is not available": (
        fit(device="cuda:99"),
        ValueError,
        "'device' parameter is 'cuda:99'",
    ),
    "feature range of one number": (fit(feature_range=(1,)), ValueError, "'feature_range'"),
    "reversed feature range": (
        fit(feature_range=(1, 0)),
        ValueError,
        r"'feature_range' parameter.*lower one first. Got \(1, 0\)",
    ),
    "unknown augmentation": (
        fit(augment="mirror"),
        ValueError,
        "'augment' parameter has the unknown name 'mirror'. Known: invert, flip",
    ),
    "augmentation out of range": (
        fit(augment=["flip", {"rotation": 181}]),
        ValueError,
        "'rotation': 181, but 'rotation', the maximum angle.*from 0 to 180",
    ),
    "fractional padding of crop": (
        fit(augment={"crop": 0.5}),
        ValueError,
        "a whole number",
    ),
    "an unknown view": (
        fit(views="mirror"),
        ValueError,
        "'views' parameter of LeNet5Classifier must be made of 'flip', 'shift'.*'mirror'",
    ),
    "a view out of range": (
        fit(views=["flip", {"shift": 17}]),
        ValueError,
        "'views' parameter has 'shift': 17, but 'shift', the distance.*from 1 to 16",
    ),
    "a number as augmentation": (fit(augment=[3]), ValueError, "names and dicts.*Got 3"),
    # Weights and validation data
    "too few weights": (fit(X, y, np.ones(59)), ValueError, r"sample_weight.*\(59,\)"),
    "negative weights": (fit(X, y, -np.ones(60)), ValueError, "Negative values.*weight"),
    "weights that are all zero": (fit(X, y, np.zeros(60)), ValueError, "weight"),
    "NaN weights": (
        fit(X, y, np.full(60, np.nan)),
        ValueError,
        "sample_weight contains NaN",
    ),
    "text as weights": (fit(X, y, ["a"] * 60), ValueError, "could not convert"),
    "X_val alone": (fit(X_val=X), ValueError, "go together; y_val is None"),
    "y_val alone": (fit(y_val=y), ValueError, "go together; X_val is None"),
    "weights without validation data": (
        fit(sample_weight_val=np.ones(60)),
        ValueError,
        "sample_weight_val is given without",
    ),
    "other validation images": (
        fit(X_val=X[:, :49], y_val=y),
        ValueError,
        "49 features, but LeNet5Classifier is expecting 64",
    ),
    "NaN in X_val": (
        fit(X_val=NAN, y_val=y),
        ValueError,
        "X_val and y_val: .*contains NaN",
    ),
    "unknown label in y_val": (
        fit(X_val=X, y_val=y + 1),
        ValueError,
        r"y_val has labels \[10\]",
    ),
    # Prediction
    "predict before fit": (
        (_quick, lambda e: e.predict(X)),
        NotFittedError,
        "LeNet5Classifier instance is not fitted yet",
    ),
    "predict_proba before fit": (
        (_quick, lambda e: e.predict_proba(X)),
        NotFittedError,
        "fit",
    ),
    "decision_function before fit": (
        (_quick, lambda e: e.decision_function(X)),
        NotFittedError,
        "fit",
    ),
    "other feature count": (
        after_fit(lambda e: e.predict(X[:, :-1])),
        ValueError,
        "63 features, but LeNet5Classifier is expecting 64",
    ),
    "other image shape": (
        after_fit(lambda e: e.predict(X.reshape(-1, 16, 4))),
        ValueError,
        "1x16x4, but image_shape is 1x8x8",
    ),
    "one image, not in a batch": (
        after_fit(lambda e: e.predict(X[0])),
        ValueError,
        "1D array",
    ),
    "one image as a matrix": (
        after_fit(lambda e: e.predict(X[0].reshape(8, 8))),
        ValueError,
        r"shape \(8, 8\), which is one image of 1x8x8.*X\[None\]",
    ),
    "one image with its channel last": (
        after_fit(lambda e: e.predict(X[0].reshape(8, 8, 1))),
        ValueError,
        r"one image of 1x8x8.*X\.transpose\(2, 0, 1\)\[None\]",
    ),
    "one Pillow image to predict": (
        after_fit(lambda e: e.predict(IMAGES[0])),
        ValueError,
        "a single Pillow image",
    ),
    "Pillow images of another size": (
        after_fit(lambda e: e.predict([IMAGES[0].resize((28, 28))])),
        ValueError,
        "1x28x28, but image_shape is 1x8x8",
    ),
    "a dataset to predict": (
        after_fit(lambda e: e.predict_log_proba(DATASET)),
        TypeError,
        "X is of type TensorDataset, a torch dataset",
    ),
    "no images": (after_fit(lambda e: e.predict(X[:0])), ValueError, r"0 sample\(s\)"),
    "NaN to predict": (after_fit(lambda e: e.predict(NAN)), ValueError, "X contains NaN"),
    "sparse to predict": (
        after_fit(lambda e: e.predict_proba(scipy.sparse.csr_array(X))),
        TypeError,
        "Sparse data was passed for X",
    ),
}
if hasattr(torch.optim, "Muon"):  # since torch 2.9
    WRONG["an optimizer of matrices"] = (
        fit(optimizer=torch.optim.Muon),
        ValueError,
        "'optimizer' parameter is.*2D parameters",
    )


def snapshot(estimator):
    """Return the state of an estimator as text."""
    state = estimator.__getstate__()
    return {key: repr(value) for key, value in state.items()}


def test_there_are_many_wrong_calls():
    assert len(WRONG) >= 40


@pytest.mark.parametrize("name", WRONG)
def test_wrong_call(name):
    (make, call), exception, message = WRONG[name]
    estimator = make()
    before = snapshot(estimator)
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    threads = threading.active_count(), torch.get_num_threads()

    with pytest.raises(exception, match=f"(?s){message}"):
        call(estimator)

    assert snapshot(estimator) == before
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (threading.active_count(), torch.get_num_threads()) == threads
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "name", [n for n, ((make, _), *_) in WRONG.items() if make is not _quick]
)
def test_a_wrong_call_of_fit_leaves_a_fitted_estimator_unchanged(name):
    (make, call), exception, _ = WRONG[name]
    estimator = LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y)
    expected = estimator.predict_proba(X)
    estimator.set_params(**make().get_params())
    with pytest.raises(exception):
        call(estimator)
    estimator.set_params(views=None)  # the only parameter that predictions depend on
    assert np.array_equal(estimator.predict_proba(X), expected)
    assert estimator.n_features_in_ == 64


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"activation": lambda: 1 / 0}, ZeroDivisionError),
        ({"pooling": nn.MaxPool1d(2)}, RuntimeError),
        ({"loss": lambda: 1 / 0}, ZeroDivisionError),
        ({"init": lambda layer, generator: 1 / 0}, ZeroDivisionError),
        ({"lr_schedule": lambda optimizer, n_steps: 1 / 0}, ZeroDivisionError),
        ({"optimizer": nn.ReLU}, TypeError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_error_of_a_callable_is_chained(parameters, error):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}'") as caught:
        _quick(**parameters).fit(X, y)
    assert isinstance(caught.value.__cause__, error)


def test_misspelt_parameters_are_rejected():
    with pytest.raises(TypeError, match="activaton"):
        LeNet5Classifier(activaton="relu")
    with pytest.raises(ValueError, match="Invalid parameter 'activaton'"):
        LeNet5Classifier().set_params(activaton="relu")
    with pytest.raises(TypeError, match="positional"):
        LeNet5Classifier("relu")
