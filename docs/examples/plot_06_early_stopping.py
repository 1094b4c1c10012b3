"""
Early stopping
==============

Hold out a fraction of the training data, stop when the loss on it no longer decreases, and
restore the weights of the best epoch.
"""

# %%
from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import TrainingHistoryDisplay

X, y = load_digits(subset="train", return_X_y=True)

classifier = LeNet5Classifier(
    early_stopping=True,
    validation_fraction=0.2,
    n_iter_no_change=5,
    max_epochs=60,
    lr=0.003,
    random_state=0,
).fit(X, y)
print(f"{classifier.n_iter_} epochs, the best is epoch {classifier.best_epoch_}")

# %%
display = TrainingHistoryDisplay.from_estimator(classifier)
for ax in display.axes_:
    ax.axvline(classifier.best_epoch_, color="0.5", linestyle=":")

# %%
# Validation data can also be passed to ``fit``, for example digits by other writers.
# Without ``early_stopping`` they are only scored after each epoch.
watched = LeNet5Classifier(max_epochs=10, random_state=0)
watched.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
print(watched.history_[-1])
