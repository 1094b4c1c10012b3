"""
A first fit
===========

Train LeNet-5 on 1,437 digits of 8x8 pixels and inspect the misclassified test images.
"""

# %%
# As usual in scikit-learn, each row of X has the pixels of one image, and y has the labels.
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)

classifier = LeNet5Classifier(max_epochs=15, random_state=0).fit(X, y)
print(f"accuracy on {len(X_test)} test images: {classifier.score(X_test, y_test):.4f}")

# %%
# By default, the network differs from the one of 1998 in its activation, pooling,
# connections and output.
classifier.summary()

# %%
# scikit-learn's displays can be used with this classifier.
from sklearn.metrics import ConfusionMatrixDisplay

ConfusionMatrixDisplay.from_estimator(classifier, X_test, y_test, colorbar=False)

# %%
# Misclassified images, those with the most confident predictions first.
from sklenet.display import MisclassifiedDisplay

MisclassifiedDisplay.from_estimator(classifier, X_test, y_test, n_images=8)
