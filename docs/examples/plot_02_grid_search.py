"""
A grid search
=============

Choose activation, pooling and learning rate by three-fold cross-validation.
"""

# %%
import pandas as pd
from sklearn.model_selection import GridSearchCV

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)

search = GridSearchCV(
    LeNet5Classifier(max_epochs=6, random_state=0),
    {"activation": ["relu", "tanh"], "pooling": ["max", "avg"], "lr": [0.001, 0.003]},
    cv=3,
).fit(X, y)

# %%
# The standard deviation over the folds indicates which differences may be due to chance.
results = pd.DataFrame(search.cv_results_)
columns = ["param_activation", "param_pooling", "param_lr"]
columns += ["mean_test_score", "std_test_score"]
results[columns].sort_values("mean_test_score", ascending=False).round(4)

# %%
# The mean scores with the best learning rate for each activation and pooling.
import matplotlib.pyplot as plt

scores = results.pivot_table(
    index="param_activation",
    columns="param_pooling",
    values="mean_test_score",
    aggfunc="max",
)
figure, ax = plt.subplots(figsize=(4, 3.2), layout="constrained")
image = ax.imshow(scores, cmap="viridis")
ax.set_xticks(range(2), scores.columns)
ax.set_yticks(range(2), scores.index)
ax.set(xlabel="pooling", ylabel="activation")
figure.colorbar(image, label="mean accuracy")

# %%
# The search has refitted the best candidate on all of X. The test set is used once, at the
# end.
X_test, y_test = load_digits(subset="test", return_X_y=True)
print(search.best_params_, f"{search.score(X_test, y_test):.4f}")
