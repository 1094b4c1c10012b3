"""
Robustness
==========

How much may a digit be rotated, shifted or occluded until the network misclassifies it?
:class:`~sklenet.preprocessing.Disturber` disturbs images with a given strength.
"""

# %%
# The seven disturbances, each in five strengths. The direction of a disturbance, such as a
# rotation to the left, is drawn at random for each image; it is the same for all strengths.
import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.preprocessing import Disturber, Padder, Resizer

strengths = {
    "rotation": [10, 20, 30, 40, 50],
    "shift": [1, 2, 3, 4, 5],
    "scale": [0.1, 0.2, 0.3, 0.4, 0.5],
    "squeeze": [0.1, 0.2, 0.3, 0.4, 0.5],
    "stroke": [0.25, 0.5, 0.75, 1.0, 1.25],
    "noise": [0.1, 0.2, 0.3, 0.4, 0.5],
    "occlusion": [4, 6, 8, 10, 12],
}


def load(subset):
    """Return the embedded digits, enlarged and with a border, and their labels."""
    X, y = load_digits(subset=subset, return_X_y=True)
    resizer = Resizer(20, interpolation="bilinear")
    return make_pipeline(resizer, Padder(28)).fit_transform(X), y


X, y = load("train")
X_test, y_test = load("test")

figure, axes = plt.subplots(
    len(strengths), 5, figsize=(6, 9), layout="constrained", subplot_kw={"xticks": []}
)
for row, (name, values) in zip(axes, strengths.items(), strict=True):
    row[0].set_ylabel(name)
    for ax, value in zip(row, values, strict=True):
        disturber = Disturber(**{name: value}, pixel_range=(0, 16))
        (image,) = disturber.transform(X_test[y_test == 3][:1])
        ax.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=16)
        ax.set(title=f"{value:g}", yticks=[])

# %%
# The test accuracy decreases with the strength. Augmentation helps against the changes that
# the network has seen in training: ``augment="lecun1998"`` shifts, scales, squeezes and
# shears the training images.
networks = {
    "without augmentation": LeNet5Classifier(max_epochs=15, random_state=0),
    'augment="lecun1998"': LeNet5Classifier(
        augment="lecun1998", max_epochs=15, random_state=0
    ),
}
figure, axes = plt.subplots(2, 4, figsize=(9, 4.5), layout="constrained", sharey=True)
for label, network in networks.items():
    network.fit(X, y)
    unchanged = network.score(X_test, y_test)
    for ax, (name, values) in zip(axes.flat, strengths.items(), strict=False):
        scores = [
            network.score(
                Disturber(**{name: value}, pixel_range=(0, 16)).transform(X_test), y_test
            )
            for value in values
        ]
        ax.plot([0, *values], [unchanged, *scores], "o-", markersize=3, label=label)
        ax.set_title(name)
axes[0, 0].set_ylabel("test accuracy")
axes[1, 0].set_ylabel("test accuracy")
axes[1, 3].set_axis_off()
axes[1, 3].legend(*axes[0, 0].get_legend_handles_labels(), loc="center")

# %%
# A study file has the same as series of tests:
#
# .. code-block:: toml
#
#     [[test]]
#     name = "rotation"
#     steps = [{ transformer = "Disturber" }]
#     grid = { disturber__rotation = [10, 20, 30, 40, 50] }
