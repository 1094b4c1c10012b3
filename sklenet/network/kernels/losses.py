"""Losses of outputs of shape (classes, n), and their gradients.

With the target t, which is 1 at the label and 0 elsewhere, smoothed, and the softmax p of
the outputs y, the loss of an image and its derivative with respect to y_k are::

    cross_entropy   -sum t_i log p_i             p_k - t_k
    mse             mean (p_i - t_i)^2           p_k (d_k - sum p_i d_i), d = 2 (p - t) / c
    l1              mean |p_i - t_i|             the same, with d = sign(p - t) / c
    bce             mean of -t log s - (1 - t) log(1 - s), s = sigmoid(y): (s_k - t_k) / c
    map             cross_entropy with an additional class of the output -j
    distance        -sum t_i y_i                 -t_k
"""

import math

import numpy as np

from sklenet.network.kernels.compiler import EXACT, kernel

KINDS = ("cross_entropy", "mse", "l1", "bce", "map", "distance")
CROSS_ENTROPY, MSE, L1, BCE, MAP, DISTANCE = range(len(KINDS))


@kernel("void(i8, f4[:, ::1], i8[::1], f8, f8, f4[::1], f4[:, ::1])", EXACT)
def compute_losses(kind, outputs, labels, smoothing, j, losses, grad):
    """Compute the loss of each image, and the gradient with respect to its outputs.

    Parameters
    ----------
    kind : int
        Index in `KINDS`.
    outputs : array of shape (classes, n)
    labels : array of shape (n,)
        Each of them at least 0 and less than the number of classes.
    smoothing : float
        The fraction of the target that is spread evenly over all classes.
    j : float
        The distance of the additional class of "map".
    losses : array of shape (n,)
        Is overwritten.
    grad : array of shape (classes, n)
        Is overwritten.
    """
    n_classes = len(outputs)
    low = smoothing / n_classes
    p = np.empty(n_classes)  # in double precision, which costs nothing here
    for t in range(len(labels)):
        label = labels[t]
        loss = 0.0
        if kind in (DISTANCE, BCE):
            for i in range(n_classes):
                y = np.float64(outputs[i, t])
                target = low + (1 - smoothing if i == label else 0.0)
                if kind == DISTANCE:
                    loss -= target * y
                    grad[i, t] = -target
                else:
                    e = math.exp(-abs(y))
                    loss += (max(y, 0.0) - target * y + math.log1p(e)) / n_classes
                    s = 1 / (1 + e) if y >= 0 else e / (1 + e)
                    grad[i, t] = (s - target) / n_classes
            losses[t] = loss
            continue
        largest = -j if kind == MAP else np.float64(outputs[0, t])
        for i in range(n_classes):
            largest = max(largest, np.float64(outputs[i, t]))
        total = math.exp(-j - largest) if kind == MAP else 0.0
        for i in range(n_classes):
            p[i] = math.exp(np.float64(outputs[i, t]) - largest)
            total += p[i]
        mean = 0.0
        for i in range(n_classes):
            p[i] /= total
            target = low + (1 - smoothing if i == label else 0.0)
            if kind == MSE:
                loss += (p[i] - target) ** 2 / n_classes
                mean += p[i] * (p[i] - target) * (2 / n_classes)
            elif kind == L1:
                loss += abs(p[i] - target) / n_classes
                mean += p[i] * np.sign(p[i] - target) / n_classes
            else:
                loss -= target * np.float64(outputs[i, t])
        if kind in (CROSS_ENTROPY, MAP):
            loss += largest + math.log(total)
        losses[t] = loss
        for i in range(n_classes):
            target = low + (1 - smoothing if i == label else 0.0)
            if kind == MSE:
                grad[i, t] = p[i] * ((p[i] - target) * (2 / n_classes) - mean)
            elif kind == L1:
                grad[i, t] = p[i] * (np.sign(p[i] - target) / n_classes - mean)
            else:
                grad[i, t] = p[i] - target
