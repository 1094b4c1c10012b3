"""
What the layers see
===================

Visualize the feature maps of an image, the kernels, and the pixels that a prediction
depends on.
"""

# %%
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import FeatureMapDisplay, FilterDisplay, SaliencyDisplay

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)
classifier = LeNet5Classifier(activation="tanh", max_epochs=15, random_state=0).fit(X, y)
FeatureMapDisplay.from_estimator(classifier, X_test[0])

# %%
# The kernels of C1, which compute its feature maps.
FilterDisplay.from_estimator(classifier, layer="C1")

# %%
# In the network of 1998, each feature map of C3 is connected with some of those of S2 only.
partial = LeNet5Classifier(connections="lecun1998", max_epochs=5, random_state=0).fit(X, y)
FilterDisplay.from_estimator(partial, layer="C3")

# %%
# A prediction depends most on the pixels whose occlusion decreases its probability most.
SaliencyDisplay.from_estimator(classifier, X_test[:6])
