"""
A custom activation
===================

Pass a class, a module or a function instead of the name of an activation.
"""

# %%
import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)


class Square(torch.nn.Module):
    """The square of x, bounded by 4."""

    def forward(self, x):
        return x.square().clamp(max=4)


# %%
# This function and three others.
import matplotlib.pyplot as plt

x = torch.linspace(-3, 3, 121)
functions = {
    "relu": torch.nn.ReLU(),
    "tanh": torch.nn.Tanh(),
    "SiLU": torch.nn.SiLU(),
    "Square": Square(),
}
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, function in functions.items():
    ax.plot(x, function(x), label=name)
ax.set(xlabel="x", ylabel="activation", ylim=(-1.5, 4.5))
ax.legend()

# %%
# A network with each of them.
for activation in ("relu", "tanh", torch.nn.SiLU, Square):
    model = LeNet5Classifier(activation=activation, max_epochs=10, random_state=0).fit(X, y)
    name = activation if isinstance(activation, str) else activation.__name__
    print(f"{name:8} {model.score(X_test, y_test):.3f}")

# %%
# ``pooling``, ``init``, ``loss``, ``optimizer`` and ``lr_schedule`` accept callables, too.
pooled = LeNet5Classifier(pooling=lambda side: torch.nn.LPPool2d(2, side), max_epochs=10)
print(f"{pooled.fit(X, y).score(X_test, y_test):.3f}")
