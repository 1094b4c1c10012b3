"""LeNet5Classifier, from its parameters to its fitted attributes."""

import math
from functools import cache
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import pad

from sklenet.images.shapes import check_image_shape
from sklenet.images.views import make_views
from sklenet.network import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS, POOLINGS, SCHEDULES
from sklenet.network.losses import RUBBISH_DISTANCE, compute_log_probabilities
from sklenet.network.optim import check_no_instances
from sklenet.persistence.methods import PersistenceMixin
from sklenet.training.batches import ImageDataset, as_tensor
from sklenet.training.build import ARCHITECTURE, build_net, isolate_custom_parts
from sklenet.training.callbacks import EpochContexts
from sklenet.training.fit_run import FitRun
from sklenet.training.parameters import check_parameters, make_canvas
from sklenet.training.predict import compute_outputs
from sklenet.training.runtime import find_device, library_state
from sklenet.training.samples.checks import (
    check_prediction_data,
    check_training_data,
    check_validation_data,
)
from sklenet.training.state import copy_arrays, from_plain, to_plain


class LeNet5Classifier(
    PersistenceMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """LeNet-5, a small convolutional network for small images.

    Parameters
    ----------
    activation : {"relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", \
            "softplus", "tanh", "scaled_tanh", "hardtanh", "sigmoid"} or callable, \
            default="relu"
        Activation function after each convolution and hidden layer: that of the torch
        module of this name, with its default settings. Thus "leaky_relu" has a negative
        slope of 0.01, and "gelu" is computed by the error function. "scaled_tanh" is the
        1.7159 tanh(2a/3) of the 1998 paper. A callable is a torch module, of which every
        layer gets a copy, such as ``nn.GELU("tanh")``; a class or function that returns a
        module when called without arguments; or a function of a tensor, such as
        ``torch.tanh``.
    pooling : {"max", "avg", "subsample"} or callable, default="max"
        Pooling method of S2 and S4, which halve the resolution. "subsample" is the one of
        the 1998 paper: the sum of four units is multiplied by a trainable coefficient,
        added to a trainable bias, and passed through the activation function. With the
        "sigmoid" and "softplus" activations, whose values are positive, a network with two
        of them per stage hardly learns. A callable is a torch module that halves height
        and width, such as ``nn.LPPool2d(2, 2)``; a class or function that returns a module
        when called with the side length of the window, 2; or a function of a tensor.
    init : {"he_uniform", "he_normal", "xavier_uniform", "xavier_normal", \
            "lecun_uniform", "lecun_normal", "orthogonal", "normal", "zeros", "torch"} \
            or callable, default="he_uniform"
        Distribution of the initial weights:

        - "he_uniform" and "he_normal" have the variance 2/fan-in, for ReLU;
        - "xavier_uniform" and "xavier_normal" have the variance 2/(fan-in + fan-out);
        - "lecun_normal" has the variance 1/fan-in, for SELU;
        - "lecun_uniform" is the uniform distribution in +/-2.4/fan-in of the 1998 paper;
        - "orthogonal" are random matrices with orthonormal rows or columns;
        - "normal" has the standard deviation 0.05 in all layers;
        - "zeros" are zeros, with which only the biases of the output can learn;
        - "torch" is the default of torch, uniform in +/-1/sqrt(fan-in).

        Biases are initialized with 0, except by "lecun_uniform" and "torch", which draw
        them as they draw weights. A callable is a function of a layer and a
        ``torch.Generator``, or a function of the weights, such as those of
        ``torch.nn.init``; biases are then initialized with 0.
    maps : sequence of two int, default=(6, 16)
        Number of feature maps of C1 and of C3.
    connections : {"full", "lecun1998"} or sequence of sequences of int, default="full"
        Feature maps of S2 to which each feature map of C3 is connected: all of them, those
        in Table I of the 1998 paper, or for each map of C3 a list of maps of S2, counted
        from 0.
    output : {"linear", "rbf"}, default="linear"
        Output layer. "rbf" is the one of the 1998 paper: the negative squared distance of
        F6 from a fixed target code of +1 and -1 for each class. If the last hidden layer
        has 84 units, the codes of digits are bitmaps of 7x12 pixels; other codes differ in
        about half of their elements.
    kernel_size : int, default=5
        Side length of the kernels of C1 and C3.
    hidden : sequence of int, default=(120, 84)
        Number of units of each fully connected layer before the output: C5 and F6.
    padding : "canvas" or int, default="canvas"
        Padding of the images. "canvas" centers them on 32x32 pixels, as in the 1998 paper;
        see Notes. With a number, images keep their size and get a border of that many
        pixels: 0 is a network without any padding.
    dropout : float, default=0.0
        Probability of dropping each unit of the hidden layers during training.
    loss : {"cross_entropy", "mse", "l1", "bce", "map", "distance"} or callable, \
            default="cross_entropy"
        Loss function to minimize; see Notes. A callable is a torch module of (outputs,
        labels) that returns one loss per sample, such as
        ``nn.CrossEntropyLoss(reduction="none")``; a class or function that returns such a
        module when called without arguments; or a function of outputs and labels.
    label_smoothing : float, default=0.0
        Fraction of each target that is distributed evenly over all classes.
    optimizer : {"adam", "adamw", "nadam", "sgd", "nesterov", "adagrad", "adadelta", \
            "rmsprop", "sdlm"} or torch optimizer class, default="adam"
        Optimizer of the weights. "nesterov" is "sgd" with Nesterov momentum, which is also
        ``net_params={"optimizer__nesterov": True}`` with "sgd". Good learning rates differ:
        the default `lr` suits the optimizers with "adam" in their names and "rmsprop",
        whereas about 0.01 suits "adagrad", 0.01 to 0.1 "sgd" and "nesterov", and 1
        "adadelta". "sdlm" is the stochastic diagonal Levenberg-Marquardt
        method of the 1998 paper: the learning rate of a weight is lr / (mu + h), where h
        is an estimate of the second derivative of the loss, computed from 500 samples
        before every epoch. The default of mu, 0.02, can be changed by
        ``net_params={"optimizer__mu": ...}``.
    lr : float, default=0.001
        Learning rate, or its maximum if `lr_schedule` varies it.
    momentum : float, default=0.9
        Momentum of the optimizers "sgd" and "nesterov". The others do not use it.
    weight_decay : float, default=0.0
        Strength of weight decay. In "adamw" it is decoupled: each step shrinks a weight w
        by ``lr * weight_decay * w``. In the other optimizers it is an L2 penalty of
        ``weight_decay / 2 * w**2``, whose derivative is added to the gradient.
    l1 : float, default=0.0
        Strength of an L1 penalty on the weights, which excludes biases.
    lr_schedule : {"constant", "step", "exponential", "cosine", "warm_restarts", \
            "one_cycle", "lecun1998"} or callable, default="constant"
        Learning-rate schedule over the steps of `fit`. "step" divides the learning rate by
        10 after half of the steps and again after three quarters; "exponential" decays it
        to 1/100, by the same factor in each step; "cosine" decays it to 0;
        "warm_restarts" decays it to 0 three times, over 1/7, 2/7 and 4/7 of the steps;
        "one_cycle" raises it from 1/25 of `lr` during the first 30 % of the steps, then
        decays it to 0; "lecun1998" decays it to 1/50 in the five stages of the 1998 paper,
        scaled to the number of epochs. A callable returns a torch scheduler, given the
        optimizer and the number of steps; the scheduler is stepped after every batch.
    average : float, default=0.0
        Fraction of the training steps, at the end of `fit`, over which the weights are
        averaged. With 0.25, the fitted network uses the mean of the weights over the last
        quarter of the steps, unless training stops early. Weight averaging is an
        alternative to decaying the learning rate.
    batch_size : int, default=64
        Number of samples per step.
    max_epochs : int, default=20
        Maximum number of epochs.
    augment : str, dict, list of them, or None, default=None
        Random changes of the training images, which differ for every sample and epoch.
        Validation and test images are not changed. Augmentations are given by name, with
        their default amount, or as a dict from names to amounts, such as
        ``["flip", {"shift": 3}]``. The amount is

        - for "invert" the probability of the negative image (default 0.5);
        - for "flip" the probability of the mirror image, left to right (0.5);
        - for "crop" the width of the padding, from which an image of the original size is
          cut (4);
        - for "shift" the maximum distance in each direction (2);
        - for "rotation" the maximum angle in degrees (10);
        - for "scale" the maximum fraction by which the image grows or shrinks (0.1);
        - for "shear" the maximum horizontal shift per row (0.2);
        - for "squeeze" the maximum fraction by which the image becomes narrower and
          higher, or wider and lower (0.1);
        - for "lecun1998" the strength of the planar affine transformations of the 1998
          paper (1);
        - for "elastic" the strength alpha of Simard et al., 2003 (34);
        - for "cutout" the side length of the square that is blanked (8);
        - for "brightness", "contrast" and "saturation" the maximum relative change (0.4);
        - for "hue" the maximum rotation of the colour circle, as a fraction of it (0.1);
        - for "color_jitter" the strength of the last four together, with these amounts (1).

        Lengths are in pixels of the 32x32 canvas. Colours change as in
        ``torchvision.transforms.ColorJitter``, but always in this order; saturation and hue
        change RGB images only. The border of the canvas keeps its value.
    views : str, dict, list of them, or None, default=None
        Views of an image, besides the image itself, over which predicted probabilities are
        averaged, also known as test-time augmentation. The views are given by name, as for
        `augment`:

        - "flip" is the mirror image, left to right;
        - "shift" are four copies, shifted up, down, left and right by 1 pixel of the
          canvas, or by another whole number of pixels, as in ``{"shift": 2}``. Pixels that
          a shift uncovers are background; those that leave the canvas are lost.

        ``["flip", {"shift": 2}]`` shifts the mirror image as well, which makes 10 views.
        The time of a prediction is proportional to the number of views. Use views that
        `augment` has shown to the network. They have no influence on `fit`, and can be
        changed after it by `set_params`; ``history_`` and early stopping are based on
        single images.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. The keys of a dict are labels, or their text, as in TOML
        files; classes that are not in the dict have the weight 1. "balanced" uses weights
        inversely proportional to the class frequencies in y. Class weights multiply
        `sample_weight`, also in validation.
    early_stopping : bool, default=False
        Whether to stop training when the validation loss has not improved by `tol` for
        `n_iter_no_change` consecutive epochs, and to restore the weights of the epoch with
        the lowest validation loss.
    validation_fraction : float, default=0.1
        Fraction of the training data, stratified by class, that early stopping holds out
        for validation if `fit` is called without validation data.
    n_iter_no_change : int, default=10
        Maximum number of consecutive epochs without an improvement of the validation
        loss. Only used if `early_stopping` is True.
    tol : float, default=0.0001
        Minimum decrease of the validation loss that counts as an improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, the optimizer state and the pixel range
        of the previous fit, with the current parameters. Training starts from new weights
        if a parameter of the architecture, or `init`, has changed. As long as X and y are
        the same, early stopping holds out the same samples; otherwise it issues a warning.
    feature_range : tuple of float (low, high), or None, default=(0.0, 1.0)
        Desired range of the pixel values after scaling: the minimum and maximum seen in
        `fit` are mapped to its ends. The 1998 paper uses (-0.1, 1.175). If None, pixel
        values are not scaled; use this when a transformer in the pipeline already scales
        them.
    image_shape : tuple of int (h, w) or (c, h, w), default=None
        Shape of the images if X is flat. If None, it is inferred from the number of
        features: a square grey image (784 features are 1x28x28), a square RGB image (3072
        are 3x32x32), or else the next larger square, which is filled up with the
        background.
    framing : {"digit", "whole"} or None, default=None
        How ``sklenet predict`` and :func:`sklenet.framing.read_image` turn image files into
        samples of this model. "whole" takes the whole image; "digit" finds a single digit
        on a plain page and frames it like those of MNIST. The value is saved with the
        model and has no influence on `fit`. With None, ``sklenet predict`` assumes "digit"
        for grey images of the classes 0 to 9, and "whole" for all others.
    device : str or torch.device, default="auto"
        Device for training and prediction, such as "cpu" or "cuda:1". "auto" is CUDA if
        available.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the samples, dropout, augmentation and
        the validation split. Pass an int for reproducible results: on the same machine
        they are bitwise identical, whatever the number of threads. If torch computes the
        gradient, see Notes, this holds for up to three threads; with more, results may
        differ by rounding. None uses entropy of the operating system. Global random number
        generators are neither used nor changed.
    verbose : int, default=0
        Verbosity level. With 1, a line per epoch is printed and, in terminals and
        notebooks, a progress bar shows the remaining time. Fits in worker processes print
        lines but have no bar.
    net_params : dict, default=None
        Additional arguments of :class:`skorch.NeuralNetClassifier`: ``callbacks``,
        ``compile``, ``use_caching``, ``torch_load_kwargs``, and options of the optimizer
        such as ``optimizer__betas``. Arguments that are determined by other parameters are
        rejected.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    n_features_in_ : int
        Number of pixels of an image, over all channels.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of X. Only defined if X has column names that are strings.
    image_shape_ : tuple of int (c, h, w)
        Shape of an image.
    pixel_range_ : tuple of float (low, high)
        Minimum and maximum of the pixel values in `fit`.
    canvas_ : Canvas
        The way in which images are presented to the network, a function of rows of
        pixels.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int or None
        Epoch of the last call with the lowest validation loss, whose weights early stopping
        restores. None without validation data.
    interrupted_ : bool
        Whether training was ended by Ctrl-C, or by a KeyboardInterrupt from a callback
        other than skorch's EarlyStopping. The weights are then those of the last finished
        epoch, or with early stopping of the best one.
    history_ : list of dict
        Metrics of each epoch: ``epoch``; ``train_loss`` and ``train_accuracy``, computed
        during the epoch while the weights change; with validation data also
        ``valid_loss`` and ``valid_accuracy``, computed after it; ``lr``, the learning rate
        after the last step; and ``seconds``.
    loss_curve_ : list of float
        Training loss of each epoch.
    loss_ : float
        Training loss of the last epoch.
    best_loss_ : float
        Lowest training loss of all epochs.
    validation_scores_ : list of float or None
        Validation accuracy of each epoch. None without validation data.
    best_validation_score_ : float or None
        Highest validation accuracy. None without validation data.
    n_layers_ : int
        Number of layers, including the input and the output: 8 by default.
    n_outputs_ : int
        Number of output units, one per class.
    device_ : torch.device
        Device on which the network was trained.
    fit_params_ : dict
        Parameters of the last call of `fit` or `partial_fit`, which describe the network.
    random_state_ : RandomState
        Random number generator that is used if training continues.
    held_out_ : dict or None
        Indices of the samples that early stopping held out (``rows``), and a checksum of
        the training data (``fingerprint``). None if no samples were held out.
    net_ : skorch.NeuralNetClassifier
        The trained skorch net.
    module_ : LeNet5
        The trained torch module, ``net_.module_``.

    Notes
    -----
    Pixels may have any range: by default, the minimum seen in `fit` is mapped to 0 and the
    maximum to 1. Later images must have the same scale; a warning is issued if they
    evidently do not, for example if they range from 0 to 1 and the training images from 0
    to 255. Images of at most 14x14 pixels are enlarged by the largest integer factor for
    which they fit into 28x28, and all images are centered on the 32x32 canvas of the 1998
    paper; the border has the value of the lower end of the range. The `padding` parameter
    turns both off.

    "cross_entropy" is the negative logarithm of the label's softmax probability. "mse" and
    "l1" are the mean squared and the mean absolute difference between all softmax
    probabilities and the one-hot encoded label. For these three, `predict_proba` returns
    the softmax. "bce" is the mean over classes of the binary cross-entropy of each
    output's sigmoid, and `predict_proba` returns these sigmoids divided by their sum.
    "cross_entropy", "mse" and "bce" are proper scoring rules, which are minimized by the
    true probabilities. "l1" is not: it drives probabilities to 0 and 1, so that they need
    to be calibrated. It also hardly changes a class that starts with a low probability:
    use small initial weights, ``init="xavier_uniform"``.

    "map" is equation 9 of the 1998 paper, a cross-entropy with an additional class of
    rubbish at the constant distance 0.1. "distance" is its equation 8, the distance of the
    correct class, for ``output="rbf"`` only. `predict_proba` returns the softmax of the
    negative distances.

    Sample weights are divided by their mean, so that their scale does not matter.

    On the CPU, if the layers, the loss and the optimizer are given by name, and if no
    callback is called at single batches, training uses compiled kernels,
    :mod:`sklenet.network.kernels`; otherwise torch computes the gradient. With `dropout`
    the two draw other random numbers. Predictions and augmentation use the kernels whenever
    there are any. The first use on a machine compiles them, which takes 10 to 20
    seconds and is announced on standard error. With the environment variable
    ``SKLENET_COMPILED=0`` torch computes everything; results differ by rounding, and with
    `augment` and `dropout` by other random numbers.

    On a GPU, under the same conditions and without `dropout`, the steps of an epoch are
    replayed from a CUDA graph, unless the environment variable ``SKLENET_CUDA_GRAPHS`` is
    ``0``.

    In a process that uses glibc, training raises two thresholds of its memory allocator;
    see :func:`sklenet.training.runtime.keep_freed_memory` for the reason, and how to
    prevent it.

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
        "views": [str, dict, list, tuple, None],
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
        views=None,
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
        self.views = views
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
        """Fit the network to images.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Training images, of any numeric type and range: an array, a data frame, a
            tensor, or a list of arrays, tensors or Pillow images.
        y : array-like of shape (n,)
            Class labels.
        sample_weight : array-like of shape (n,), default=None
            Non-negative sample weights.
        X_val : array-like, default=None
            Validation images, which are evaluated after every epoch.
        y_val : array-like, default=None
            Labels of the validation images.
        sample_weight_val : array-like, default=None
            Sample weights of the validation images.

        Returns
        -------
        self : LeNet5Classifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is invalid; if X has values that are not finite numbers, or
            columns that are evidently labels or row numbers; if y does not match X or has
            a single class; if the shape of the images does not match the parameters; or if
            training diverges. The estimator is then unchanged.
        TypeError
            If X is sparse, or is not an array-like but a torch dataset, an iterator or a
            dict.
        KeyboardInterrupt
            On Ctrl-C. If at least one epoch was finished, the estimator is fitted with the
            weights of the last finished epoch, or with early stopping of the best one, and
            ``interrupted_`` is True.
        """
        self.check_parameters()
        continued = self.warm_start and self._has_same_network()
        samples = check_training_data(self, X, y, sample_weight, continued=continued)
        validation = check_validation_data(self, samples, X_val, y_val, sample_weight_val)

        context = self._init_callback_context(max_subtasks=self.max_epochs)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        task = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(**task)
        run = FitRun(
            self.get_params(deep=False),
            samples,
            n_epochs=self.max_epochs,
            validation=validation,
            stops_early=self.early_stopping,
            earlier=self if continued else None,
        )
        run.train([EpochContexts(context, run.get_fitted_attributes, **task)])
        self._set_fitted_attributes(run.get_fitted_attributes())
        run.raise_pending()
        context.call_on_fit_task_end(**task, reconstruction_attributes={})
        return self

    @library_state()
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch, starting from the current weights.

        The learning rate is `lr` throughout the epoch, weights are not averaged, and no
        samples are held out for validation. The first call determines the pixel range.
        Later calls continue training the same ``module_``, and unless a parameter has
        changed the same ``net_``.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Training images, of the same shape in all calls.
        y : array-like of shape (n,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels, including those that y lacks. Required in the first call.
        sample_weight : array-like of shape (n,), default=None
            Non-negative sample weights, relative to the others of this call.

        Returns
        -------
        self : LeNet5Classifier
            Fitted estimator.

        Raises
        ------
        ValueError
            As in `fit`; also if `classes` is missing in the first call or differs in a
            later one, y has labels that are not in `classes`, images have another shape, or
            a parameter of the architecture has changed since the first call.
        """
        self.check_parameters()
        continued = hasattr(self, "net_")
        if continued and not self._has_same_network():
            raise ValueError(
                "partial_fit cannot continue, because a parameter of the architecture, or"
                " 'init', has changed since the last call. Call fit, or clone the"
                " estimator first."
            )
        if classes is None:
            if not continued:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            classes = self.classes_
        samples = check_training_data(
            self, X, y, sample_weight, classes, continued=continued
        )
        run = FitRun(
            self.get_params(deep=False) | {"lr_schedule": "constant", "average": 0.0},
            samples,
            n_epochs=1,
            earlier=self if continued else None,
        )
        run.train()
        self._set_fitted_attributes(run.get_fitted_attributes())
        run.raise_pending()
        return self

    @library_state()
    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        y_pred : ndarray of shape (n,)
            The most probable class of each image.
        """
        most_probable = self._compute_log_probabilities(X).argmax(dim=1).numpy()
        return self.classes_[most_probable]

    @library_state()
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Probabilities in the order of ``classes_``. How they are computed from the
            outputs of the network depends on `loss`; see the Notes of the class.
        """
        return self._compute_log_probabilities(X).softmax(dim=1).numpy()

    @library_state()
    def predict_log_proba(self, X):
        """Predict logarithms of class probabilities.

        They are finite even if `predict_proba` underflows to 0.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Log-probabilities in the order of ``classes_``.
        """
        return self._compute_log_probabilities(X).log_softmax(dim=1).numpy()

    @library_state()
    def decision_function(self, X):
        """Compute unnormalized log-probabilities.

        The values equal the log-probabilities up to an additive constant per sample; for
        all losses except "bce", and without `views`, they are the outputs of the network.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            Scores in the order of ``classes_``. For two classes, the score of the second
            class minus that of the first, the log-odds of ``classes_[1]``.
        """
        scores = self._compute_log_probabilities(X).numpy()
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @library_state()
    def score_samples(self, X):
        """Compute the confidence of each prediction, as a log-probability.

        Predictions with the lowest values are the first to be rejected.

        The confidence is the largest log-probability. For ``output="rbf"`` it is the
        logarithm of the posterior of equation 9 in the 1998 paper, which has an additional
        class of rubbish at the constant distance j: images far from all target codes get
        low values. With `views`, it is that of the mean posterior. See also
        :func:`sklenet.display.rejection_curve`.

        Parameters
        ----------
        X : array-like of shape (n, features), (n, h, w) or (n, c, h, w)
            Images.

        Returns
        -------
        ndarray of shape (n,)
            Log-probabilities, at most 0.
        """
        check_is_fitted(self)
        if self.fit_params_["output"] == "rbf":
            j = getattr(self.net_.criterion_, "j", RUBBISH_DISTANCE)
            with_rubbish = [pad(one, (0, 1), value=-j) for one in self._compute_outputs(X)]
            return _average(with_rubbish)[:, :-1].amax(dim=1).numpy()
        log_probabilities = self._compute_log_probabilities(X).log_softmax(dim=1)
        return log_probabilities.amax(dim=1).numpy()

    @library_state()
    def summary(self):
        """Describe the layers of the network.

        Returns
        -------
        summary : DataFrame
            One row per layer, by its name in the 1998 paper, and one for all layers. The
            columns are ``output_shape``; ``parameters``, the number of trainable
            parameters; ``connections``, counted as in the paper, including biases; and
            ``multiply_adds``, for one image.

        Examples
        --------
        >>> from sklenet import LeNet5Classifier
        >>> from sklenet.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> print(LeNet5Classifier(max_epochs=1).fit(X, y).summary())
                output_shape  parameters  connections  multiply_adds
        C1       (6, 28, 28)         156       122304         117600
        S2       (6, 14, 14)           0         4704              0
        C3      (16, 10, 10)        2416       241600         240000
        S4        (16, 5, 5)           0         1600              0
        C5            (120,)       48120        48120          48000
        F6             (84,)       10164        10164          10080
        output         (10,)         850          850            840
        all            (10,)       61706       429342         416520
        """
        from sklenet.network.summary import summarize_network  # imports pandas

        check_is_fitted(self)
        return summarize_network(self.to_torch().network, self.canvas_.shape)

    @property
    def canvas_(self):
        """How the network sees images: their shape, pixel range and position."""
        return make_canvas(self.fit_params_, self.image_shape_, self.pixel_range_)

    @property
    def loss_(self):
        """Training loss of the last epoch."""
        return self.history_[-1]["train_loss"]

    @property
    def best_loss_(self):
        """Lowest training loss of all epochs."""
        return min(self.loss_curve_)

    @property
    def validation_scores_(self):
        """Validation accuracy of each epoch, or None without validation data."""
        rows = [row for row in self.history_ if "valid_accuracy" in row]
        return [row["valid_accuracy"] for row in rows] or None

    @property
    def best_validation_score_(self):
        """Highest validation accuracy, or None without validation data.

        Early stopping restores the weights of the epoch with the lowest validation loss,
        ``best_epoch_``, which may be another epoch.
        """
        scores = self.validation_scores_
        return None if scores is None else max(scores)

    @property
    def n_outputs_(self):
        """Number of output units, one per class, also for two classes."""
        return len(self.classes_)

    @property
    def n_layers_(self):
        """Number of layers of the network, including the input and the output."""
        return 6 + len(self.fit_params_["hidden"])

    @classmethod
    @cache
    def _get_param_names(cls):
        # scikit-learn reads the signature anew for each call of get_params and clone, which
        # takes longer than anything else in the checks of a single image.
        return super()._get_param_names()

    def check_parameters(self) -> None:
        """Check the parameters, without any data.

        Both `fit` and `partial_fit` do so first.

        Raises
        ------
        ValueError
            If a parameter is invalid, or does not go with another one.
        TypeError
            If `net_params` has options that the optimizer does not accept.
        """
        check_no_instances(self.optimizer, self.lr_schedule)
        self._validate_params()
        check_parameters(self.get_params(deep=False))

    def _has_same_network(self) -> bool:
        """Return whether the parameters still describe the fitted network, if any."""
        if not hasattr(self, "net_"):
            return False
        shape = check_image_shape(self.image_shape)
        if shape is not None and shape != self.image_shape_:
            return False
        before = self.fit_params_
        # A table of connections may be ragged, which array_equal does not accept. Neither
        # does it accept a number and a string as scalars, with numpy 2.0.
        return repr(self.connections) == repr(before["connections"]) and all(
            np.array_equal(np.atleast_1d(getattr(self, name)), np.atleast_1d(before[name]))
            for name in (*ARCHITECTURE, "output", "padding", "feature_range")
        )

    def _set_fitted_attributes(self, attributes) -> None:
        self.__dict__.pop("feature_names_in_", None)  # X may have no names any more
        self.__dict__.update(attributes)

    def _compute_log_probabilities(self, X):
        """Return unnormalized log-probabilities, a float64 tensor (n, n_classes)."""
        check_is_fitted(self)
        outputs = self._compute_outputs(X)
        scores = [compute_log_probabilities(self.net_.criterion_, one) for one in outputs]
        return scores[0] if len(scores) == 1 else _average(scores)

    def _compute_outputs(self, X):
        """Return the outputs for each view of the images: float64 tensors (n, n_outputs).

        The outputs of an image do not depend on the other images in X, not even in the
        last bit.
        """
        views = make_views(self.canvas_, self.views)
        pixels = as_tensor(check_prediction_data(self, X)).to(self.device_)
        with isolate_custom_parts(self.fit_params_, 0, self.device_):
            return [
                compute_outputs(self.module_, ImageDataset(pixels, view)) for view in views
            ]

    # Pickles and copies hold plain numbers and arrays instead of torch objects.

    @library_state()
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:
            module = state.pop("module_")
            state["net_state"] = to_plain(state.pop("net_"), module)
            state["device_"] = str(state["device_"])
        return state

    @library_state()
    def __setstate__(self, state):
        state = copy_arrays(dict(state))
        net_state = state.pop("net_state", None)
        super().__setstate__(state)
        if net_state is not None:
            self.device_ = find_device(state["device_"])
            canvas = self.canvas_
            params = self.fit_params_
            with isolate_custom_parts(params, 0, self.device_):
                self.net_ = build_net(params, canvas, self.classes_, self.device_)
            from_plain(self.net_, net_state)
            names = {"seconds": "dur"}  # the name that skorch's timer uses
            self.net_.continue_history(
                [{names.get(k, k): v for k, v in row.items()} for row in self.history_]
            )
            self.module_ = self.net_.module_


def _average(scores):
    """Return the logarithm of the mean probabilities of several views.

    Parameters
    ----------
    scores : list of Tensor of shape (n, k)
        Log-probabilities of each view, up to an additive constant per sample.
    """
    # Views along the last axis: torch sums them for each image alone, so that the result
    # does not depend on the other images.
    views = torch.stack([one.log_softmax(dim=1) for one in scores], dim=2)
    return views.logsumexp(dim=2) - math.log(len(scores))
