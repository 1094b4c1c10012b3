"""
Callbacks
=========

skorch's callbacks follow every epoch and batch of a fit; scikit-learn's callbacks also
follow all fits of a search.
"""

# %%
# This callback of skorch records an additional metric, the F1 score on validation data.
from skorch.callbacks import EpochScoring

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
f1 = EpochScoring("f1_macro", lower_is_better=False, name="f1")
classifier = LeNet5Classifier(
    max_epochs=5, random_state=0, net_params={"callbacks": [f1]}
).fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
print([round(value, 3) for value in classifier.net_.history[:, "f1"]])


# %%
# This callback of scikit-learn stops training when the training loss is below 0.1.
class StopAtLowLoss:
    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            return fitted_estimator.loss_curve_[-1] < 0.1


classifier = LeNet5Classifier(max_epochs=50, random_state=0).set_callbacks(StopAtLowLoss())
print(f"{classifier.fit(X, y).n_iter_} epochs")

# %%
# This one records the accuracy on the training data after each epoch in all fits of a
# search.
from sklearn.callback import ScoringMonitor
from sklearn.model_selection import GridSearchCV

monitor = ScoringMonitor(scoring="accuracy")
watched = LeNet5Classifier(max_epochs=3, random_state=0).set_callbacks(monitor)
GridSearchCV(watched, {"lr": [0.001, 0.003]}, cv=2).fit(X[:400], y[:400])
logs = monitor.get_logs().data_as_pandas
logs.tail(6)

# %%
# The accuracy of each fit after each epoch. One fit is that of the best candidate on all of
# the data.
import matplotlib.pyplot as plt

epochs = logs[logs["task_name"] == "epoch"]
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for path, fit in epochs.groupby("parent_task_id_path"):
    ax.plot(fit["task_id"] + 1, fit["accuracy"], marker="o", label=str(path))
ax.set(xlabel="epoch", ylabel="training accuracy", xticks=[1, 2, 3])
ax.legend(title="fit", fontsize="small")
