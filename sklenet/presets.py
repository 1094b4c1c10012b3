"""Published settings as dicts of parameters: ``LeNet5Classifier(**lecun1998())``."""

__all__ = ["lecun1998", "lenet1", "pytorch_tutorial"]

# LeCun et al. 1990, Table 1: the maps of the first stage to which each map of the second
# stage is connected.
_CONNECTIONS_1990 = (
    (0,),
    (0, 1),
    (0, 1),
    (1,),
    (0, 1),
    (0, 1),
    (2,),
    (2, 3),
    (2, 3),
    (3,),
    (2, 3),
    (2, 3),
)


def lecun1998() -> dict:
    """Return the parameters of LeNet-5 as published in 1998.

    The network has trainable subsampling, the connection table of C3, radial basis
    functions with digit bitmaps as target codes, the activation function
    1.7159 tanh(2a/3), and pixels from -0.1 to 1.175. It is trained by stochastic diagonal
    Levenberg-Marquardt, with a step after every sample, for 20 epochs in the stages of the
    paper. Two settings differ from the paper: the learning rate is a fifth of the printed
    one, and the initial weights have another distribution. ``docs/lenet5_1998.md`` gives
    the reasons, and lists the details that the paper does not specify.

    Returns
    -------
    params : dict
        Parameters of :class:`sklenet.LeNet5Classifier`.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proc. IEEE 86(11), 1998.
    """
    return {
        "activation": "scaled_tanh",
        "pooling": "subsample",
        "init": "torch",
        "connections": "lecun1998",
        "output": "rbf",
        "loss": "map",
        "feature_range": (-0.1, 1.175),
        "optimizer": "sdlm",
        "lr": 0.0001,
        "lr_schedule": "lecun1998",
        "batch_size": 1,
        "max_epochs": 20,
    }


def lenet1() -> dict:
    """Return the parameters of LeNet-1, which has 2,578 weights on images of 28x28 pixels.

    The network, of 4 and 12 feature maps without a hidden layer, is that of 1990, including
    its connection table. The 1998 paper does not describe how it was trained; this setting
    uses Adam, and one output unit per class.

    Returns
    -------
    params : dict
        Parameters of :class:`sklenet.LeNet5Classifier`.

    References
    ----------
    LeCun et al.: Handwritten Digit Recognition with a Back-Propagation Network, NIPS 2,
    1990; LeCun et al. 1998, section III.C.
    """
    return {
        "activation": "scaled_tanh",
        "pooling": "subsample",
        "init": "torch",
        "maps": (4, 12),
        "connections": _CONNECTIONS_1990,
        "hidden": (),
        "padding": 0,
        "feature_range": (-0.1, 1.175),
        "optimizer": "adam",
        "lr": 0.002,
        "lr_schedule": "one_cycle",
        "batch_size": 32,
        "max_epochs": 20,
    }


def pytorch_tutorial() -> dict:
    """Return the parameters of the best MNIST setting of a widely copied PyTorch tutorial.

    It uses ReLU, max pooling, He initialization, Adam with a learning rate of 0.001 and a
    weight decay of 1e-4, a batch size of 64, and 20 epochs. The tutorial reports a test
    accuracy of 99.2 %; ``benchmarks/references/a.md`` has the one measured here.

    Returns
    -------
    params : dict
        Parameters of :class:`sklenet.LeNet5Classifier`.
    """
    return {
        "activation": "relu",
        "pooling": "max",
        "init": "he_uniform",
        "optimizer": "adam",
        "lr": 0.001,
        "weight_decay": 1e-4,
        "batch_size": 64,
        "max_epochs": 20,
    }
