"""
Pipelines and negatives
=======================

A network that knows bright digits on dark takes dark ones on bright for something else. A
transformer in a pipeline, or augmentation, is a way out.
"""

# %%
import numpy as np
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
# Three ways. `DarkBackground` turns every image that is mostly bright; "invert" trains on
# images and negatives; the last one is told by hand that they are negatives.
turned = make_pipeline(DarkBackground(maximum=16), plain).fit(X, y)
trained = LeNet5Classifier(augment="invert", max_epochs=15, random_state=0).fit(X, y)
told = make_pipeline(Inverter(maximum=16), plain).fit(np.asarray(16 - X), y)

for name, model in {
    "plain": plain,
    "DarkBackground": turned,
    'augment="invert"': trained,
    "Inverter": told,
}.items():
    scores = model.score(X_test, y_test), model.score(negatives, y_test)
    print(f"{name:18} {scores[0]:.3f} of positives, {scores[1]:.3f} of negatives")

# %%
NegativeDisplay.from_estimator(trained, X_test[:8], y_test[:8], maximum=16)
