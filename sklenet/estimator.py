"""LeNet5Classifier: parameters and arrays in, a trained network out."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklenet.images import Canvas, flatten_images, infer_image_shape
from sklenet.network import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS, POOLINGS, LeNet5
from sklenet.training.batches import Batches, ImageDataset, as_tensor
from sklenet.training.net import TrainingNet
from sklenet.training.runtime import keep_freed_memory, resolve_device

_EVALUATION_BATCH = 512


class LeNet5Classifier(ClassifierMixin, BaseEstimator):
    """LeNet-5, a small convolutional network for small images.

    Parameters
    ----------
    activation : {"relu", "leaky_relu", "elu", "tanh", "sigmoid", "scaled_tanh"} or \
            callable, default="relu"
        The function after each convolution and hidden layer. "scaled_tanh" is the
        paper's 1.7159 tanh(2a/3); "leaky_relu" has the slope 0.01. A callable is called
        without arguments and returns a torch module.
    pooling : {"max", "avg"} or callable, default="max"
        How S2 and S4 halve the resolution. A callable is called with the window's side.
    init : {"he_uniform", "he_normal", "xavier_uniform", "xavier_normal", \
            "lecun_uniform", "torch"} or callable, default="he_uniform"
        The distribution of the initial weights. "lecun_uniform" is the paper's uniform
        in +/-2.4/fan-in. A callable is called with a layer and a ``torch.Generator``.
    optimizer : {"adam", "adamw", "sgd", "rmsprop"} or torch optimizer class, \
            default="adam"
        How the weights descend.
    lr : float, default=0.001
        The learning rate.
    weight_decay : float, default=0.0
        The optimizer's ``weight_decay``: added to the gradient (L2), except by "adamw",
        which shrinks the weights themselves.
    batch_size : int, default=64
        Images per step.
    max_epochs : int, default=20
        Passes over the training data.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it: a square grey image (784
        features are 1x28x28), a square RGB image (3072 are 3x32x32), or else the next
        larger square, filled up with the background.
    device : str, default="auto"
        Where to train and predict, in torch's words; "auto" is CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights and the order of the samples.
    verbose : int, default=0
        1 prints a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        The number of pixels of one image, over all channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The columns of X, where it had named ones.
    image_shape_ : tuple of int (c, h, w)
        The shape of one image.
    pixel_range_ : tuple of float (low, high)
        The smallest and the largest pixel value in `fit`, mapped to 0 and 1 there and in
        `predict`.
    n_iter_ : int
        The number of epochs trained.
    history_ : list of dict
        Per epoch: ``epoch``, ``train_loss``, ``seconds``.
    loss_curve_ : list of float
        The training loss of each epoch.
    device_ : torch.device
        Where it was trained.
    net_ : skorch.NeuralNet
        The trained skorch net.
    module_ : LeNet5
        The trained torch module, ``net_.module_``.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proc. IEEE 86(11), 1998.

    Notes
    -----
    Pixels may have any range: the smallest value seen in `fit` becomes 0 and the largest
    1. Images of at most half of 28x28 are enlarged by the largest whole factor that fits,
    and all are centred on the 32x32 canvas of the original.

    Training in a process that uses glibc raises two of its allocator's thresholds; see
    :func:`sklenet.training.runtime.keep_freed_memory` for why, and how to prevent it.

    Examples
    --------
    >>> from sklenet import LeNet5Classifier
    >>> from sklenet.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> LeNet5Classifier(max_epochs=1, random_state=0).fit(X, y).predict(X[:1]).shape
    (1,)
    """

    _parameter_constraints: dict = {
        "activation": [StrOptions(set(ACTIVATIONS)), callable],
        "pooling": [StrOptions(set(POOLINGS)), callable],
        "init": [StrOptions(set(INITS)), callable],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "image_shape": ["array-like", None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        activation="relu",
        pooling="max",
        init="he_uniform",
        optimizer="adam",
        lr=0.001,
        weight_decay=0.0,
        batch_size=64,
        max_epochs=20,
        image_shape=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.activation = activation
        self.pooling = pooling
        self.init = init
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y):
        """Train the network from new initial weights.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images, of any numeric type and range.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        self : LeNet5Classifier

        Raises
        ------
        ValueError
            If a parameter is unknown or out of range, X is not finite numbers, y has
            another length or only one class, or the shapes do not fit.
        """
        self._validate_params()
        X, y, image_shape = self._check_training_data(X, y)
        classes, targets = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"LeNet5Classifier needs samples of at least 2 classes; y has 1 class:"
                f" {classes[0]!r}."
            )
        device = resolve_device(self.device)
        random_state = check_random_state(self.random_state)
        low, high = float(X.min()), float(X.max())
        canvas = Canvas(image_shape, low, high)
        keep_freed_memory()

        net = self._make_net(canvas, len(classes), device, random_state)
        data = ImageDataset(
            as_tensor(X).to(device), canvas, torch.as_tensor(targets).to(device)
        )
        net.fit(data)

        self.classes_ = classes
        self.image_shape_ = image_shape
        self.pixel_range_ = (low, high)
        self.device_ = device
        self.net_ = net
        self.module_ = net.module_
        self.history_ = [
            {key: row[key] for key in ("epoch", "train_loss")} | {"seconds": row["dur"]}
            for row in net.history
        ]
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X):
        """Return the most probable label of each image, of shape (n,)."""
        scores = self._output(X)
        return self.classes_[scores.argmax(axis=1)]

    def predict_proba(self, X):
        """Return the probability of each class, of shape (n, n_classes).

        The columns follow ``classes_``.
        """
        return torch.from_numpy(self._output(X)).softmax(dim=1).numpy()

    def decision_function(self, X):
        """Return the network's output, of shape (n, n_classes), or (n,) for two classes.

        For two classes it is the second unit's output less the first one's, positive
        where ``classes_[1]`` is predicted.
        """
        scores = self._output(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def _check_training_data(self, X, y):
        image_shape = self._given_image_shape()
        X, image_shape = flatten_images(X, image_shape)
        X, y = validate_data(self, X, y, dtype="numeric")
        check_classification_targets(y)
        if image_shape is None:
            image_shape = infer_image_shape(X.shape[1])
        elif np.prod(image_shape) != X.shape[1]:
            raise ValueError(
                f"The 'image_shape' parameter is {tuple(self.image_shape)!r}, that is"
                f" {np.prod(image_shape)} pixels, but X has {X.shape[1]} features."
            )
        return X, y, image_shape

    def _given_image_shape(self):
        if self.image_shape is None:
            return None
        shape = tuple(self.image_shape)
        if len(shape) not in (2, 3) or not all(
            isinstance(side, Integral) and int(side) > 0 for side in shape
        ):
            raise ValueError(
                "The 'image_shape' parameter of LeNet5Classifier must be None or 2 or 3"
                " positive integers, (height, width) or (channels, height, width). Got"
                f" {self.image_shape!r} instead."
            )
        return (1, *shape) if len(shape) == 2 else shape

    def _make_net(self, canvas, n_outputs, device, random_state):
        seeds = random_state.randint(np.iinfo(np.int32).max, size=2)
        return TrainingNet(
            LeNet5,
            module__input_shape=canvas.shape,
            module__n_outputs=n_outputs,
            module__activation=self.activation,
            module__pooling=self.pooling,
            module__init=self.init,
            module__seed=int(seeds[0]),
            criterion=LOSSES["cross_entropy"],
            optimizer=OPTIMIZERS.get(self.optimizer, self.optimizer),
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            iterator_train__seed=int(seeds[1]),
            train_split=None,
            device=device,
            verbose=int(self.verbose),
        )

    def _output(self, X):
        """Return the output units' values for X, in float64."""
        check_is_fitted(self)
        X, _ = flatten_images(X, self.image_shape_)
        X = validate_data(self, X, dtype="numeric", reset=False)
        canvas = Canvas(self.image_shape_, *self.pixel_range_)
        data = ImageDataset(as_tensor(X).to(self.device_), canvas)
        self.module_.eval()
        with torch.inference_mode():
            batches = [
                self.module_(images) for images, _ in Batches(data, _EVALUATION_BATCH)
            ]
        return torch.cat(batches).double().cpu().numpy()
