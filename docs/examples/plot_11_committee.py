"""
Committees
==========

The mean of the probabilities of several networks is usually more accurate than any of them.
scikit-learn's :class:`~sklearn.ensemble.VotingClassifier` averages the probabilities of
networks that were trained with different seeds.
"""

# %%
# With ``voting="soft"``, it predicts the class with the largest mean probability.
from sklearn.ensemble import VotingClassifier

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)
members = [
    (f"seed {seed}", LeNet5Classifier(max_epochs=10, random_state=seed))
    for seed in range(5)
]
committee = VotingClassifier(members, voting="soft").fit(X, y)

# %%
# The members are fitted clones. A study of several seeds has the committee of each setting
# as a row of its table.
import matplotlib.pyplot as plt

names = [name for name, _ in members]
scores = [member.score(X_test, y_test) for member in committee.estimators_]
together = committee.score(X_test, y_test)

_, ax = plt.subplots(figsize=(6, 2.5), layout="constrained")
ax.plot(scores, names, "o", label="members")
ax.axvline(together, color="tab:orange", label="committee")
ax.set(xlabel="test accuracy")
ax.legend()
