"""One step of an optimizer for one parameter, in one pass over its values.

All arrays are flat and of one length; `p` and the optimizer's state are changed in place.
With the gradient g of a weight w, the weight decay d and the learning rate r::

    sgd      g += d w;  b = momentum b + (1 - dampening) g;   w -= r b
    rmsprop  g += d w;  v = a v + (1 - a) g^2;                w -= r g / (sqrt v + e)
    adagrad  g += d w;  v = v + g^2;                          w -= r g / (sqrt v + e)
    adadelta g += d w;  v = a v + (1 - a) g^2;
                        u = g sqrt(q + e) / sqrt(v + e);
                        q = a q + (1 - a) u^2;                w -= r u
    adam     g += d w;  m = a m + (1 - a) g;
                        v = b v + (1 - b) g^2;                w -= s m / (sqrt v / c + e)
    nadam    m and v as adam;                     w -= (s m + s' g) / (sqrt v / c + e)
    sdlm     g += d w;                                        w -= r f g

with s = r / (1 - a^t) and c = sqrt(1 - b^t) after t steps; NAdam computes s and s' from
its own schedule of momentum. AdamW multiplies w by 1 - r d first, instead of changing g.
"""

import math

import numpy as np

from sklenet.network.kernels.compiler import EXACT, kernel


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4, f4, f4, f4, f4, f4, f4)", EXACT)
def step_adam(p, grad, mean, square, rate, root, beta1, beta2, eps, decay, shrink):
    """Make a step of Adam.

    Parameters
    ----------
    mean, square : arrays
        The running means of the gradient and of its square.
    rate, root : float
        s and c above.
    beta1, beta2, eps : float
    decay : float
        Adam's weight decay, which is added to the gradient.
    shrink : float
        What AdamW multiplies weights by.
    """
    one = np.float32(1)
    for t in range(len(p)):
        w = p[t] * shrink
        g = grad[t] + decay * w
        mean[t] += (one - beta1) * (g - mean[t])
        square[t] = beta2 * square[t] + (one - beta2) * (g * g)
        p[t] = w - rate * mean[t] / (math.sqrt(square[t]) / root + eps)


@kernel("void(f4[::1], f4[::1], f4[::1], f4, f4, f4, f4, f4)", EXACT)
def step_momentum(p, grad, buffer, rate, momentum, undamped, nesterov, decay):
    """Make a step of gradient descent with momentum; `nesterov` is 1 or 0."""
    for t in range(len(p)):
        g = grad[t] + decay * p[t]
        b = momentum * buffer[t] + undamped * g
        buffer[t] = b
        p[t] -= rate * (nesterov * (g + momentum * b) + (np.float32(1) - nesterov) * b)


@kernel("void(f4[::1], f4[::1], f4, f4)", EXACT)
def step_plain(p, grad, rate, decay):
    """Make a step of gradient descent."""
    for t in range(len(p)):
        p[t] -= rate * (grad[t] + decay * p[t])


@kernel("void(f4[::1], f4[::1], f4[::1], f4, f4, f4, f4)", EXACT)
def step_rmsprop(p, grad, square, rate, alpha, eps, decay):
    """Make a step of RMSprop."""
    for t in range(len(p)):
        g = grad[t] + decay * p[t]
        square[t] = alpha * square[t] + (np.float32(1) - alpha) * (g * g)
        p[t] -= rate * g / (math.sqrt(square[t]) + eps)


@kernel("void(f4[::1], f4[::1], f4[::1], f4, f4, f4)", EXACT)
def step_adagrad(p, grad, square, rate, eps, decay):
    """Make a step of Adagrad."""
    for t in range(len(p)):
        g = grad[t] + decay * p[t]
        square[t] += g * g
        p[t] -= rate * g / (math.sqrt(square[t]) + eps)


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4, f4, f4, f4)", EXACT)
def step_adadelta(p, grad, square, change, rate, rho, eps, decay):
    """Make a step of Adadelta.

    `square` and `change` are the running means of the squares of the gradient and of the
    updates.
    """
    one = np.float32(1)
    for t in range(len(p)):
        g = grad[t] + decay * p[t]
        square[t] = rho * square[t] + (one - rho) * (g * g)
        update = g * (math.sqrt(change[t] + eps) / math.sqrt(square[t] + eps))
        change[t] = rho * change[t] + (one - rho) * (update * update)
        p[t] -= rate * update


@kernel("void(f4[::1], f4[::1], f4[::1], f4[::1], f4, f4, f4, f4, f4, f4, f4, f4)", EXACT)
def step_nadam(
    p, grad, mean, square, rate_mean, rate_grad, root, beta1, beta2, eps, decay, shrink
):
    """Make a step of NAdam; see `step_adam`.

    Parameters
    ----------
    rate_mean, rate_grad : float
        Learning rates of the running mean and of the gradient.
    """
    one = np.float32(1)
    for t in range(len(p)):
        w = p[t] * shrink
        g = grad[t] + decay * w
        mean[t] += (one - beta1) * (g - mean[t])
        square[t] = beta2 * square[t] + (one - beta2) * (g * g)
        update = rate_mean * mean[t] + rate_grad * g
        p[t] = w - update / (math.sqrt(square[t]) / root + eps)


@kernel("void(f4[::1], f4[::1], f4[::1], f4, f4)", EXACT)
def step_sdlm(p, grad, factor, rate, decay):
    """Make a step of stochastic diagonal Levenberg-Marquardt."""
    for t in range(len(p)):
        p[t] -= rate * factor[t] * (grad[t] + decay * p[t])
