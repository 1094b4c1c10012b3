"""
Learning curves
===============

Plot the loss after every epoch for several seeds, and the accuracy against the number of
training samples.
"""

# %%
from sklearn.model_selection import LearningCurveDisplay

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import TrainingHistoryDisplay

X, y = load_digits(subset="train", return_X_y=True)

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
# Each line is the mean over the seeds, and the band extends from the lowest to the highest
# value. scikit-learn's learning curve shows whether more training images would help.
LearningCurveDisplay.from_estimator(
    LeNet5Classifier(max_epochs=10, random_state=0), X, y, cv=3, train_sizes=[200, 500, 950]
)
