"""
A first fit
===========

Train LeNet-5 on 1,437 digits of 8x8 pixels, and look at what it got wrong.
"""

# %%
# X is rows of pixels, y the labels, as everywhere in scikit-learn.
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)

classifier = LeNet5Classifier(max_epochs=15, random_state=0).fit(X, y)
print(f"{classifier.score(X_test, y_test):.4f} of {len(X_test)} test images")

# %%
# The network is the one of 1998 but for its activation, pooling and output.
classifier.summary()

# %%
# scikit-learn's displays work as they are.
from sklearn.metrics import ConfusionMatrixDisplay

ConfusionMatrixDisplay.from_estimator(classifier, X_test, y_test, colorbar=False)

# %%
# Which ones are wrong? Those it is most sure of come first.
from sklenet.display import MisclassifiedDisplay

MisclassifiedDisplay.from_estimator(classifier, X_test, y_test, n_images=8)
