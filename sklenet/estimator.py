"""LeNet5Classifier: parameters and arrays in, a trained network out."""

import copy
import math
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import pad
from torch.nn.utils import get_total_norm

from sklenet.checks import (
    border,
    check_feature_range,
    check_hidden,
    check_maps,
    check_prediction_data,
    check_training_data,
    check_validation_data,
)
from sklenet.fitted import FittedMixin
from sklenet.images import Canvas, check_image_shape
from sklenet.network import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS, POOLINGS, SCHEDULES
from sklenet.network.lecun1998 import check_connections
from sklenet.network.losses import RUBBISH_DISTANCE, log_probabilities
from sklenet.network.optim import refuse_instances
from sklenet.training.augment import read_augment
from sklenet.training.batches import ImageDataset, as_tensor
from sklenet.training.build import (
    ARCHITECTURE,
    build_net,
    check_callables,
    check_net_params,
    continue_training,
    isolate_custom_parts,
)
from sklenet.training.callbacks import EpochContexts, check_callbacks, check_monitors
from sklenet.training.monitor import Monitor, copy_state, set_state
from sklenet.training.predict import compute_outputs
from sklenet.training.runtime import (
    keep_freed_memory,
    library_state,
    one_thread,
    release_freed_memory,
    resolve_device,
)
from sklenet.training.state import copy_arrays, from_plain, to_plain


class LeNet5Classifier(FittedMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """LeNet-5, a small convolutional network for small images.

    Parameters
    ----------
    activation : {"relu", "leaky_relu", "elu", "tanh", "sigmoid", "scaled_tanh"} or \
            callable, default="relu"
        Activation function after each convolution and hidden layer. "scaled_tanh" is the
        paper's 1.7159 tanh(2a/3); "leaky_relu" has the slope 0.01. Also a torch module, of
        which every layer is a copy, such as ``nn.GELU()``; a class or function that makes
        one without arguments; or a function of a tensor, such as ``torch.tanh``.
    pooling : {"max", "avg", "subsample"} or callable, default="max"
        How S2 and S4 halve the resolution. "subsample" is the paper's: the sum of four
        units, times a trainable coefficient, plus a trainable bias, squashed; with
        "sigmoid" these are two sigmoids per stage, which hardly learn. Also a torch module
        that halves height and width, such as ``nn.LPPool2d(2, 2)``; a class or function
        that makes one from the side of the window, 2; or a function of a tensor.
    init : {"he_uniform", "he_normal", "xavier_uniform", "xavier_normal", \
            "lecun_uniform", "torch"} or callable, default="he_uniform"
        The distribution of the initial weights. "lecun_uniform" is the paper's uniform
        in +/-2.4/fan-in. Also a function of a layer and a ``torch.Generator``, or of the
        weights, such as those of ``torch.nn.init``; biases start at 0 then.
    maps : sequence of two int, default=(6, 16)
        The numbers of maps of C1 and of C3.
    connections : {"full", "lecun1998"} or sequence of sequences of int, default="full"
        Which maps of S2 each map of C3 sees: all, those of the paper's table I, or for each
        of C3's a list of numbers of S2's, from 0.
    output : {"linear", "rbf"}, default="linear"
        "rbf" is the paper's: minus the squared distance of F6 from a fixed code of +1 and
        -1 for each class. Digits have 7x12 bitmaps where the last hidden layer has 84
        units, other classes codes that differ in about half of their places.
    kernel_size : int, default=5
        The side of the kernels of C1 and C3.
    hidden : sequence of int, default=(120, 84)
        The number of units of each fully connected layer before the output: C5, F6.
    padding : "canvas" or int, default="canvas"
        "canvas" centres images on 32x32 pixels, as the paper does; see Notes. A number
        leaves them at their size, in a border of so many pixels: 0 is a network without
        any padding.
    dropout : float, default=0.0
        The probability with which a unit of a hidden layer is dropped in training.
    loss : {"cross_entropy", "mse", "l1", "bce", "map", "distance"} or callable, \
            default="cross_entropy"
        Loss function to minimize; see Notes. Also a torch module of (outputs, labels) that
        gives one loss per sample, such as ``nn.CrossEntropyLoss(reduction="none")``; a
        class or function that makes one without arguments; or a function of both.
    label_smoothing : float, default=0.0
        The part of each target that is spread evenly over all classes.
    optimizer : {"adam", "adamw", "sgd", "rmsprop", "sdlm"} or torch optimizer class, \
            default="adam"
        How the weights descend. "sdlm" is the paper's stochastic diagonal
        Levenberg-Marquardt: every weight has the rate lr / (mu + h), h being its second
        derivative, estimated on 500 patterns before every pass; mu is 0.02, or
        ``net_params={"optimizer__mu": ...}``.
    lr : float, default=0.001
        The learning rate, or its peak where `lr_schedule` varies it.
    momentum : float, default=0.9
        Only used by "sgd".
    weight_decay : float, default=0.0
        The optimizer's ``weight_decay``. Coupled in "adam", "sgd" and "rmsprop": it adds
        ``weight_decay * w`` to the gradient, the L2 penalty ``weight_decay / 2 * w^2``.
        Decoupled in "adamw": each step shrinks w by ``lr * weight_decay * w``.
    l1 : float, default=0.0
        The weight in the objective of the sum of absolute weights, without biases.
    lr_schedule : {"constant", "step", "cosine", "one_cycle", "lecun1998"} or callable, \
            default="constant"
        How the rate varies over the steps of `fit`. "step": a tenth after half of the
        steps, a hundredth after three quarters; "cosine": down to 0; "one_cycle": up
        from a 25th in the first 30 %, then down to 0; "lecun1998": down to a 50th in the
        paper's five stages, whose ends are parts of all passes. A callable makes a torch
        scheduler, to be stepped after every batch, from the optimizer and the number of
        steps.
    average : float, default=0.0
        Fraction of the training steps, at the end of `fit`, over which the weights are
        averaged. With 0.25, the fitted network uses the mean of the weights over the last
        quarter of the steps, unless training stops early. Weight averaging is an
        alternative to decaying the learning rate.
    batch_size : int, default=64
        Images per step.
    max_epochs : int, default=20
        Passes over the training data.
    augment : str, dict, list of them, or None, default=None
        Random changes of the training images, per sample and epoch, never of validation
        or test images: names, which take default amounts, or dicts of amounts by name,
        such as ``["flip", {"shift": 3}]``. "invert": the negative, with this probability
        (0.5); "flip": left to right, with this probability (0.5); "crop": out of a padding
        of so many pixels (4); "shift": by up to so many (2); "rotation": by up to so many
        degrees (10); "scale": by up to this part (0.1); "shear": by up to this shift per
        row (0.2); "squeeze": narrower and higher or the reverse, by up to this part (0.1);
        "lecun1998": the paper's planar affine set, in this strength (1); "elastic": with
        this alpha, of Simard et al. 2003 (34); "cutout": a square of this side (8). Pixels
        are those of the 32x32 canvas.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by label or by the text of a label, as in TOML; classes that
        are not in the dict have the weight 1. "balanced" gives weights inversely
        proportional to the frequencies in y. Class weights multiply `sample_weight`, in
        validation too.
    early_stopping : bool, default=False
        Stop after `n_iter_no_change` epochs without a validation loss lower by `tol`, and
        restore the weights of the epoch with the lowest.
    validation_fraction : float, default=0.1
        The part of the training data, stratified, that early stopping holds out where
        `fit` is given no validation data.
    n_iter_no_change : int, default=10
        The patience of early stopping, in epochs.
    tol : float, default=0.0001
        By how much the validation loss must fall to count as lower.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, the optimizer's state and the pixel range
        of the last fit, with the present parameters. It starts from new weights if a
        parameter of the architecture, or `init`, has changed since. While X and y are the
        same, early stopping holds out the same rows; otherwise a warning is raised.
    feature_range : tuple of float (low, high), or None, default=(0.0, 1.0)
        Desired range of the pixel values after scaling: the minimum and maximum seen in
        `fit` are mapped to its ends. The 1998 paper uses (-0.1, 1.175). If None, pixel
        values are not scaled; use this when a transformer in the pipeline already scales
        them.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        The shape of one image where X is flat; None finds it: a square grey image (784
        features are 1x28x28), a square RGB image (3072 are 3x32x32), or else the next
        larger square, filled up with the background.
    framing : {"digit", "whole"} or None, default=None
        How ``sklenet predict`` and :func:`sklenet.framing.read_image` turn image files into
        rows for this model. "whole" takes the whole image as it is; "digit" finds one
        figure on a plain page and frames it as MNIST's digits are. It is saved with the
        model and has no influence on `fit`. With None, ``sklenet predict`` assumes "digit"
        for grey images of the classes 0 to 9, and "whole" for all others.
    device : str or torch.device, default="auto"
        Device on which to train and predict, such as "cpu" or "cuda:1"; "auto" is CUDA
        where there is one.
    random_state : int, RandomState instance or None, default=None
        Of the initial weights, the order of the samples, dropout, and the validation
        split. The same int gives the same weights, bit for bit, on the same machine,
        whatever the number of threads. Where torch computes the gradient, see Notes, it
        holds for one, two and three; with more the last bits may differ. None draws from
        the operating system: global generators are neither used nor changed.
    verbose : int, default=0
        1 prints a line per epoch.
    net_params : dict, default=None
        Additional arguments of :class:`skorch.NeuralNetClassifier`: ``callbacks``,
        ``compile``, ``use_caching``, ``torch_load_kwargs``, and options of the optimizer
        such as ``optimizer__betas``. Arguments that other parameters decide are rejected.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        The number of pixels of one image, over all channels.
    feature_names_in_ : ndarray of shape (n_features,)
        The columns of X, where it had named ones.
    image_shape_ : tuple of int (c, h, w)
        The shape of one image.
    pixel_range_ : tuple of float (low, high)
        The smallest and the largest pixel value in `fit`, mapped to the ends of
        `feature_range` there and in `predict`.
    n_iter_ : int
        The number of epochs trained.
    best_epoch_ : int or None
        The epoch of the last call with the lowest validation loss, the one restored by
        early stopping; None without validation data.
    interrupted_ : bool
        Whether training was ended by Ctrl-C, or by a KeyboardInterrupt from a callback
        other than skorch's EarlyStopping. The model is that of the last finished epoch, or
        with early stopping of the best.
    history_ : list of dict
        Per epoch: ``epoch``, ``train_loss`` and ``train_accuracy`` (over the epoch, while
        the weights changed), ``valid_loss`` and ``valid_accuracy`` (after it, where there
        is validation data), ``lr`` (after its last step), ``seconds``.
    loss_curve_ : list of float
        The training loss of each epoch.
    loss_ : float
        The training loss of the last epoch.
    best_loss_ : float
        The lowest training loss of all epochs.
    validation_scores_ : list of float or None
        The validation accuracy of each epoch; None without validation data.
    best_validation_score_ : float or None
        The highest validation accuracy; None without validation data.
    n_layers_ : int
        The number of layers, from the input to the output: 8 with the defaults.
    n_outputs_ : int
        The number of output units, one per class.
    device_ : torch.device
        Where it was trained.
    net_ : skorch.NeuralNetClassifier
        The trained skorch net.
    module_ : LeNet5
        The trained torch module, ``net_.module_``.

    Notes
    -----
    Pixels may have any range: the smallest value seen in `fit` becomes 0 and the largest
    1, or the ends of another `feature_range`. Later images must have the same scale; a
    warning says so if they evidently have another, such as 0 to 1 after 0 to 255. Images of
    at most half of 28x28 are enlarged by the largest whole factor that fits, and all are
    centred on the 32x32 canvas of the original, in a border of the lower end; `padding` can
    do without both.

    "cross_entropy" is minus the logarithm of the label's softmax probability, "mse" and
    "l1" are the mean squared and absolute difference between all softmax probabilities
    and the label's unit vector, and `predict_proba` gives the softmax. "bce" is the mean
    over classes of the binary cross-entropy of each output's sigmoid, and `predict_proba`
    gives these sigmoids divided by their sum. Of the four, "cross_entropy", "mse" and
    "bce" are proper scores, lowest where the probabilities are the true ones; "l1" is
    not: it drives them to 0 and 1, so calibrate before trusting them. It also hardly moves
    a class that starts out improbable: begin with small weights, ``init="xavier_uniform"``.

    "map" is the paper's equation 9, a cross-entropy with one class more, the rubbish, at
    the constant distance 0.1; "distance" its equation 8, the right class' own distance,
    for ``output="rbf"`` only. `predict_proba` gives the softmax of minus the distances.

    Weights of samples are divided by their mean: their scale does not matter.

    On the CPU, if the layers, the loss and the optimizer are given by name, and if no
    callback is called at single batches, training uses compiled kernels,
    :mod:`sklenet.network.kernels`; otherwise torch computes the gradient. With `dropout`
    the two draw other random numbers. Predictions and augmentation use the kernels whenever
    there are any. The first use on a machine compiles them, which takes ten to twenty
    seconds and is announced on standard error. With the environment variable
    ``SKLENET_COMPILED=0`` torch computes everything; results differ by rounding, and with
    `augment` and `dropout` by other random numbers.

    Training in a process that uses glibc raises two of its allocator's thresholds; see
    :func:`sklenet.training.runtime.keep_freed_memory` for why, and how to prevent it.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proc. IEEE 86(11), 1998.

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
        "maps": ["array-like"],
        "connections": [StrOptions({"full", "lecun1998"}), list, tuple],
        "output": [StrOptions({"linear", "rbf"})],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "hidden": ["array-like"],
        "padding": [StrOptions({"canvas"}), Interval(Integral, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "loss": [StrOptions(set(LOSSES)), callable],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions(set(SCHEDULES)), callable],
        "average": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "augment": [str, dict, list, tuple, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "feature_range": ["array-like", None],
        "image_shape": ["array-like", None],
        "framing": [StrOptions({"digit", "whole"}), None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [dict, None],
    }

    def __init__(
        self,
        *,
        activation="relu",
        pooling="max",
        init="he_uniform",
        maps=(6, 16),
        connections="full",
        output="linear",
        kernel_size=5,
        hidden=(120, 84),
        padding="canvas",
        dropout=0.0,
        loss="cross_entropy",
        label_smoothing=0.0,
        optimizer="adam",
        lr=0.001,
        momentum=0.9,
        weight_decay=0.0,
        l1=0.0,
        lr_schedule="constant",
        average=0.0,
        batch_size=64,
        max_epochs=20,
        augment=None,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        feature_range=(0.0, 1.0),
        image_shape=None,
        framing=None,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        self.activation = activation
        self.pooling = pooling
        self.init = init
        self.maps = maps
        self.connections = connections
        self.output = output
        self.kernel_size = kernel_size
        self.hidden = hidden
        self.padding = padding
        self.dropout = dropout
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.l1 = l1
        self.lr_schedule = lr_schedule
        self.average = average
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.augment = augment
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.feature_range = feature_range
        self.image_shape = image_shape
        self.framing = framing
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    @with_callbacks
    @library_state()
    def fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images, of any numeric type and range: arrays, data frames, tensors, or lists of
            arrays, of tensors or of images of Pillow.
        y : array-like of shape (n,)
            Their labels.
        sample_weight : array-like of shape (n,), default=None
            How much each sample counts, not negative.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation data, likewise, to be scored after every epoch.

        Returns
        -------
        self : LeNet5Classifier

        Raises
        ------
        ValueError
            If a parameter is unknown or out of range, X is not finite numbers, y has
            another length or only one class, or shapes do not fit; if columns of X are
            evidently labels or row numbers; if training diverges. Nothing has been changed
            then.
        TypeError
            If X is sparse, or no array: a torch dataset, an iterator or a dict.
        KeyboardInterrupt
            On Ctrl-C. If an epoch has finished, the model is that of the last finished
            epoch, or with early stopping of the best, and ``interrupted_`` is True.
        """
        device = self._check_parameters()
        continued = self.warm_start and self._same_network()
        data = check_training_data(self, X, y, sample_weight, continued=continued)
        valid = check_validation_data(self, data, X_val, y_val, sample_weight_val)

        context = self._init_callback_context(max_subtasks=self.max_epochs)
        task = {"estimator": self, "X": X, "y": y}
        task["metadata"] = (
            None if sample_weight is None else {"sample_weight": sample_weight}
        )
        context.call_on_fit_task_begin(**task)
        self._train(data, valid, self.max_epochs, device, continued, context, task)
        context.call_on_fit_task_end(**task, reconstruction_attributes={})
        return self

    @library_state()
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on X, starting from the current weights.

        The learning rate is `lr` throughout, and no rows are held out for validation. The
        pixel range is that of the first call. Later calls continue with the same ``net_``
        and ``module_``, or, if a parameter has changed, with the same ``module_``.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images; of the same shape in every call.
        y : array-like of shape (n,)
            Their labels, all among `classes`.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be; needed in the first call.
        sample_weight : array-like of shape (n,), default=None
            How much each sample counts, relative to the others of this call.

        Returns
        -------
        self : LeNet5Classifier

        Raises
        ------
        ValueError
            As in `fit`; also if `classes` is missing in the first call or differs
            later, y has other labels, images have another shape, or a parameter of the
            architecture has changed since the first call.
        """
        device = self._check_parameters()
        continued = hasattr(self, "net_")
        if continued and not self._same_network():
            raise ValueError(
                "A parameter of the architecture, or 'init', has changed since the last"
                " call: partial_fit cannot continue. Call fit, or clone first."
            )
        if classes is None:
            if not continued:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            classes = self.classes_
        data = check_training_data(self, X, y, sample_weight, classes, continued=continued)
        self._train(data, None, 1, device, continued)
        return self

    @library_state()
    def predict(self, X):
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray of shape (n,)
        """
        winners = self._log_probabilities(X).argmax(dim=1).numpy()
        return self.classes_[winners]

    @library_state()
    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of ``classes_``. How they are made of the outputs depends on
            `loss`; see Notes of the class.
        """
        return self._log_probabilities(X).softmax(dim=1).numpy()

    @library_state()
    def predict_log_proba(self, X):
        """Return the logarithm of the probability of each class.

        It is finite even where `predict_proba` underflows to 0.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of ``classes_``.
        """
        return self._log_probabilities(X).log_softmax(dim=1).numpy()

    @library_state()
    def decision_function(self, X):
        """Compute unnormalized log-probabilities.

        The values equal the log-probabilities up to an additive constant per sample; for
        all losses except "bce" they are the outputs of the network.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            For two classes, the second one's less the first one's, the log-odds: positive
            where ``classes_[1]`` is predicted.
        """
        scores = self._log_probabilities(X).numpy()
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @library_state()
    def score_samples(self, X):
        """Compute the confidence of each prediction, as a log-probability.

        Predictions with the lowest values are the first to be rejected.

        It is that of `predict_proba`, but for ``output="rbf"`` the posterior of the paper's
        equation 9, in which "none of them", at the distance j, is a class too: an image
        far from all codes scores low. See :func:`sklenet.rejection.rejection_curve`.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)

        Returns
        -------
        ndarray of shape (n,)
            Not above 0.
        """
        check_is_fitted(self)
        if self._fit_params["output"] == "rbf":
            scores = self._outputs(X)
            j = getattr(self.net_.criterion_, "j", RUBBISH_DISTANCE)
            alternatives = pad(scores, (0, 1), value=-j)
        else:
            alternatives = scores = self._log_probabilities(X)
        return (scores.amax(dim=1) - alternatives.logsumexp(dim=1)).numpy()

    # How it is done

    def _check_parameters(self):
        """Check all parameters; return the device."""
        refuse_instances(self.optimizer, self.lr_schedule)
        self._validate_params()
        if callable(self.loss) and self.label_smoothing:
            raise ValueError(
                f"The 'label_smoothing' parameter is {self.label_smoothing!r}, but 'loss'"
                f" is a callable, which has to smooth labels itself. Set it to 0, or"
                f" 'loss' to one of {sorted(LOSSES)}."
            )
        check_image_shape(self.image_shape)
        check_hidden(self.hidden)
        check_maps(self.maps)
        check_connections(self.connections, self.maps)
        if self.loss == "distance" and self.output != "rbf":
            raise ValueError(
                "The 'loss' parameter is 'distance', but the outputs are no distances: set"
                " output='rbf', or another loss."
            )
        check_feature_range(self.feature_range)
        read_augment(self.augment)
        check_net_params(self.net_params, self.optimizer)
        check_callables(self.get_params(deep=False))
        check_callbacks(self.net_params)
        return resolve_device(self.device)

    def _same_network(self):
        """Return whether there is a network, and the parameters still describe it."""
        if not hasattr(self, "net_"):
            return False
        shape = check_image_shape(self.image_shape)
        if shape is not None and shape != self.image_shape_:
            return False
        before = self._fit_params
        described = (*ARCHITECTURE, "output", "padding", "feature_range")
        # A table is not always rectangular, as array_equal needs it.
        return repr(self.connections) == repr(before["connections"]) and all(
            np.array_equal(getattr(self, name), before[name]) for name in described
        )

    def _train(self, data, valid, epochs, device, continued, context=None, task=None):
        """Train for `epochs` and set the fitted attributes.

        Without a `context` it is a partial fit, which neither varies the learning rate,
        averages weights nor stops early.
        """
        random_state = (
            _copy_random_state(self._random_state)
            if continued
            else _random_state(self.random_state)
        )
        stop_early = self.early_stopping and context is not None
        rows = valid_rows = held_out = None
        if stop_early and valid is None:
            rows, held_out = self._hold_out(data, random_state, continued)
            valid_rows = held_out["rows"]
            valid = data
        seeds = random_state.randint(np.iinfo(np.int32).max, size=3).tolist()

        params = _copy_containers(self.get_params(deep=False))
        if context is None:
            params |= {"lr_schedule": "constant", "average": 0.0}
        described = (params, data.canvas, data.classes, device, seeds)
        with isolate_custom_parts(params, seeds[1]):
            if continued:
                before = copy_state(self.net_), list(self.net_.history)
                net = continue_training(self.net_, params, self._fit_params, *described[1:])
            else:
                net = build_net(*described)
        earlier = self.history_ if continued else []

        def fitted(net, interrupted=False):
            history = earlier + _history(monitor.rows, len(earlier))
            best = monitor.best_epoch
            return data.features | {
                "classes_": data.classes,
                "image_shape_": data.image_shape,
                "pixel_range_": data.pixel_range,
                "n_iter_": len(history),
                "best_epoch_": None if best is None else len(earlier) + best,
                "interrupted_": interrupted,
                "history_": history,
                "loss_curve_": [row["train_loss"] for row in history],
                "device_": device,
                "net_": net,
                "module_": net.module_,
                "_fit_params": params,
                "_random_state": random_state,
                "_held_out": held_out,
            }

        monitor = Monitor(self.n_iter_no_change if stop_early else None, self.tol)
        if context is not None:
            # What a callback is given must not change as training goes on.
            epochs_of_fit = EpochContexts(
                context,
                lambda net: fitted(net) | {"module_": copy.deepcopy(net.module_)},
                **task,
            )
            monitor.on_epoch_begin = epochs_of_fit.begin
            monitor.on_epoch_end = epochs_of_fit.end
        keep_freed_memory()
        try:
            check_monitors(net, has_validation=valid is not None)
            with isolate_custom_parts(params, seeds[1]):
                pending = self._run_epochs(
                    net,
                    data.on(device, rows),
                    valid and valid.on(device, valid_rows),
                    epochs,
                    monitor,
                )
            del net.history[net.n_earlier_epochs_ + monitor.n_epochs :]
            attributes = fitted(net, interrupted=not monitor.finished)
        except BaseException:
            if continued:  # the module is the estimator's own
                state, rows_before = before
                set_state(self.net_, state)
                self.net_.continue_history(rows_before)
            raise
        finally:
            monitor.release()
            release_freed_memory()
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(attributes)
        if pending is not None:
            raise pending

    def _run_epochs(self, net, train, valid, epochs, monitor):
        """Train the net; return the exception that is to be raised afterwards, or None.

        Raises
        ------
        KeyboardInterrupt
            If no epoch has been finished.
        ValueError
            If training diverged.
        """
        pending: BaseException | None = None
        try:
            net.partial_fit(train, valid=valid, epochs=epochs, monitor=monitor)
        except KeyboardInterrupt as interrupt:  # out of on_train_begin or on_train_end
            pending = interrupt
        except Exception as error:
            if not monitor.finished:
                raise
            pending = error  # out of on_train_end: what was trained must not be lost
        if not monitor.finished:
            pending = pending or KeyboardInterrupt()
            if monitor.n_epochs == 0:
                raise pending
        with one_thread():
            is_finite = get_total_norm(net.module_.parameters()).isfinite()
        if not is_finite:
            raise ValueError(
                f"Training diverged: weights are not finite after {monitor.n_epochs}"
                f" epoch(s) with lr={self.lr!r}. Lower the 'lr' parameter."
            )
        return pending

    def _hold_out(self, data, random_state, continued):
        """Return the rows to train on, and those held out with the fingerprint of the data.

        While training continues on the same data they remain the same, so that no row
        that is held out has been trained on.
        """
        fingerprint = data.fingerprint(self.validation_fraction)
        if continued:
            before = getattr(self, "_held_out", None)
            if before is not None and before["fingerprint"] == fingerprint:
                return data.other_rows(before["rows"]), before
            warnings.warn(
                "The rows that early stopping holds out may have been trained on before,"
                " which makes the validation loss too low: the previous fit held out"
                " none, or X, y, sample_weight or the 'validation_fraction' parameter"
                " have changed since. Pass X_val and y_val, or fit a clone.",
                UserWarning,
                stacklevel=6,
            )
        rows, held_out = data.split(self.validation_fraction, random_state)
        return rows, {"rows": held_out, "fingerprint": fingerprint}

    def _log_probabilities(self, X):
        """Return what `decision_function` says, a float64 tensor of (n, n_classes)."""
        check_is_fitted(self)
        return log_probabilities(self.net_.criterion_, self._outputs(X))

    def _outputs(self, X):
        """Return the network's outputs, a float64 tensor of (n, n_classes).

        Those of a row do not depend on the other rows of X, to the last bit.
        """
        X = check_prediction_data(self, X)
        data = ImageDataset(as_tensor(X).to(self.device_), self._canvas())
        with isolate_custom_parts(self._fit_params, seed=0):
            return compute_outputs(self.module_, data)

    def _canvas(self):
        """Return the canvas of the last fit."""
        low, high = self.pixel_range_
        feature_range = check_feature_range(self._fit_params["feature_range"])
        padding = border(self._fit_params["padding"])
        return Canvas(self.image_shape_, low, high, feature_range, padding)

    # What is pickled and copied: plain numbers and arrays, instead of torch's objects

    @library_state()
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:
            module = state.pop("module_")
            state["_net_state"] = to_plain(state.pop("net_"), module)
            state["device_"] = str(state["device_"])
        return state

    @library_state()
    def __setstate__(self, state):
        state = copy_arrays(dict(state))
        net_state = state.pop("_net_state", None)
        super().__setstate__(state)
        if net_state is not None:
            device = state["device_"]
            cuda_gone = device.startswith("cuda") and not torch.cuda.is_available()
            self.device_ = torch.device("cpu" if cuda_gone else device)
            canvas = self._canvas()
            params = self._fit_params
            with isolate_custom_parts(params, seed=0):
                self.net_ = build_net(params, canvas, self.classes_, self.device_)
            from_plain(self.net_, net_state)
            names = {"seconds": "dur"}
            self.net_.continue_history(
                [{names.get(k, k): v for k, v in row.items()} for row in self.history_]
            )
            self.module_ = self.net_.module_


def _random_state(random_state):
    """Return a RandomState; for None a fresh one, and not numpy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def _copy_random_state(random_state):
    """Return a copy; of the usual kind some ten times as fast as deepcopy."""
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return copy.deepcopy(random_state)
    copied = np.random.RandomState(0)
    copied.set_state(state)
    return copied


def _copy_containers(value):
    """Return `value` with copies of the dicts, lists and arrays in it.

    A container that the caller modifies in place then counts as a changed parameter.
    """
    if type(value) is dict:
        return {key: _copy_containers(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy_containers(item) for item in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def _history(rows, n_earlier):
    keys = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr")
    return [
        {"epoch": n_earlier + k}
        | {key: row[key] for key in keys if key in row}
        | {"seconds": row.get("dur", math.nan)}  # without skorch's timer
        for k, row in enumerate(rows, start=1)
    ]
