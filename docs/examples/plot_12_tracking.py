"""
Tracking with MLflow and TensorBoard
====================================

Fits and searches are recorded by the usual tools: ``pip install sklenet[tracking]``.
"""

# %%
# MLflow's automatic logging records the fits of scikit-learn's own classes, such as
# pipelines and searches, with the parameters of the LeNet5Classifier in them. Here the
# records are in a database in a temporary folder.
import logging
import tempfile
from pathlib import Path

import mlflow
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

logging.getLogger("mlflow").setLevel(logging.ERROR)
folder = Path(tempfile.mkdtemp())
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
experiment = mlflow.create_experiment("digits", (folder / "artifacts").as_uri())
mlflow.set_experiment(experiment_id=experiment)
mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)

X, y = load_digits(subset="train", return_X_y=True)
pipeline = make_pipeline(LeNet5Classifier(max_epochs=3, random_state=0))
with mlflow.start_run(run_name="search"):
    grid = {"lenet5classifier__lr": [0.001, 0.003, 0.01]}
    GridSearchCV(pipeline, grid, cv=2).fit(X[:500], y[:500])
mlflow.sklearn.autolog(disable=True)

runs = mlflow.search_runs()
columns = ["params.lenet5classifier__lr", "metrics.mean_test_score"]
print(runs[columns].dropna().to_string(index=False))

# %%
# ``sklenet report DIR --mlflow URI`` writes the records of a study in the same way, each
# fit as a run with its learning curve.
#
# skorch's callback writes the metrics of every epoch for TensorBoard, which is started by
# ``tensorboard --logdir DIR``.
from skorch.callbacks import TensorBoard
from torch.utils.tensorboard import SummaryWriter

from sklenet.display import TrainingHistoryDisplay

callback = TensorBoard(SummaryWriter(str(folder / "tensorboard")))
classifier = LeNet5Classifier(
    max_epochs=5, random_state=0, net_params={"callbacks": [callback]}
)
classifier.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
print([path.name.split(".")[0] for path in (folder / "tensorboard").iterdir()])

# %%
# The same history is an attribute of the estimator.
TrainingHistoryDisplay.from_estimator(classifier)
