"""
Pipelines and negatives
=======================

A network that was trained on bright digits on a dark background misclassifies dark digits
on a bright background. A transformer in a pipeline solves this problem, and so does data
augmentation.
"""

# %%
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import NegativeDisplay
from sklenet.preprocessing import DarkBackground, Inverter

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)
negatives = Inverter(maximum=16).transform(X_test)

plain = LeNet5Classifier(max_epochs=15, random_state=0).fit(X, y)
NegativeDisplay.from_estimator(plain, X_test[:8], y_test[:8], maximum=16)

# %%
# There are three solutions. ``augment="invert"`` trains on images and their negatives.
# ``DarkBackground`` inverts every image that has a bright background, and ``Inverter``
# inverts all images, which is right if all of them are negatives. These two are combined
# with the classifier that was trained on positives.
converted = make_pipeline(DarkBackground(maximum=16), plain)
inverted = make_pipeline(Inverter(maximum=16), plain)
augmented = LeNet5Classifier(augment="invert", max_epochs=15, random_state=0).fit(X, y)

for name, model in {
    "plain": plain,
    "DarkBackground": converted,
    'augment="invert"': augmented,
    "Inverter": inverted,
}.items():
    scores = model.score(X_test, y_test), model.score(negatives, y_test)
    print(f"{name:18} accuracy: {scores[0]:.3f} positives, {scores[1]:.3f} negatives")

# %%
NegativeDisplay.from_estimator(augmented, X_test[:8], y_test[:8], maximum=16)
