"""
Learning curves
===============

Plot loss and accuracy after every epoch, of one fit and of several seeds, and the accuracy
against the number of training samples.
"""

# %%
from sklearn.model_selection import LearningCurveDisplay

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import TrainingHistoryDisplay

X, y = load_digits(subset="train", return_X_y=True)

# %%
# With validation data, the curves of the training data are solid and those of the
# validation data are dashed.
watched = LeNet5Classifier(max_epochs=15, random_state=0)
watched.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
TrainingHistoryDisplay.from_estimator(watched)

# %%
# Several fits with the same label are one line: the mean over the seeds, with a band from
# the lowest to the highest value.
histories = {
    optimizer: [
        LeNet5Classifier(optimizer=optimizer, lr=lr, max_epochs=8, random_state=seed)
        .fit(X, y)
        .history_
        for seed in range(3)
    ]
    for optimizer, lr in {"adam": 0.001, "sgd": 0.05}.items()
}
TrainingHistoryDisplay.from_histories(histories)

# %%
# Small losses can be told apart on a logarithmic axis.
display = TrainingHistoryDisplay.from_histories(histories, metric="loss")
display.ax_.set_yscale("log")

# %%
# scikit-learn's learning curve shows whether more training images would help.
LearningCurveDisplay.from_estimator(
    LeNet5Classifier(max_epochs=10, random_state=0), X, y, cv=3, train_sizes=[200, 500, 950]
)
