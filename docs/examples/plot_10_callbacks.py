"""
Callbacks
=========

skorch's callbacks hear of every epoch and batch; scikit-learn's own follow a whole search.
"""

# %%
# A callback of skorch's that stops as soon as the training accuracy is good enough.
from skorch.callbacks import Callback

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits


class GoodEnough(Callback):
    def on_epoch_end(self, net, **kwargs):
        if net.history[-1, "train_accuracy"] > 0.98:
            raise KeyboardInterrupt  # ends training, and keeps what was learnt


X, y = load_digits(subset="train", return_X_y=True)
classifier = LeNet5Classifier(
    max_epochs=50, random_state=0, net_params={"callbacks": [GoodEnough()]}
).fit(X, y)
print(f"{classifier.n_iter_} epochs")

# %%
# One of scikit-learn's, which follows every fit of a search: here the accuracy on the
# training data after each epoch.
from sklearn.callback import ScoringMonitor
from sklearn.model_selection import GridSearchCV

monitor = ScoringMonitor(scoring="accuracy")
watched = LeNet5Classifier(max_epochs=3, random_state=0).set_callbacks(monitor)
GridSearchCV(watched, {"lr": [0.001, 0.003]}, cv=2).fit(X[:400], y[:400])
monitor.get_logs().data_as_pandas.tail(6)
