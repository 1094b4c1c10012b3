"""
Early stopping
==============

Hold a part of the training data out, stop when its loss no longer falls, and keep the best
epoch's weights.
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
print(f"{classifier.n_iter_} epochs, the best was number {classifier.best_epoch_}")

# %%
curves = {
    "training": TrainingHistoryDisplay.from_history(classifier.history_, name="training"),
}
TrainingHistoryDisplay.from_history(
    classifier.history_, metric="valid_loss", name="validation", ax=curves["training"].ax_
)

# %%
# The rows to validate on may be one's own, such as another writer's digits: without
# `early_stopping` they are only scored.
X_test, y_test = load_digits(subset="test", return_X_y=True)
watched = LeNet5Classifier(max_epochs=10, random_state=0)
watched.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
print(watched.history_[-1])
