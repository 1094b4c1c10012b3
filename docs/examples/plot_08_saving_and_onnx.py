"""
Saving and exporting
====================

Save a classifier in a file that executes nothing when it is loaded, and export it to ONNX
and to torch.
"""

# %%
import tempfile
from pathlib import Path

import numpy as np

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits

X, y = load_digits(subset="train", return_X_y=True)
X_test, y_test = load_digits(subset="test", return_X_y=True)
classifier = LeNet5Classifier(max_epochs=10, random_state=0).fit(X, y)

folder = Path(tempfile.mkdtemp())
classifier.save(folder / "digits.sklenet")
loaded = LeNet5Classifier.load(folder / "digits.sklenet")
print(np.array_equal(loaded.predict_proba(X_test), classifier.predict_proba(X_test)))

# %%
# A checksum detects damaged files.
content = bytearray((folder / "digits.sklenet").read_bytes())
content[-1] ^= 1
(folder / "damaged").write_bytes(content)
try:
    LeNet5Classifier.load(folder / "damaged")
except ValueError as error:
    print(str(error).removeprefix(str(folder)))

# %%
# The ONNX model takes unscaled pixels, and includes their scaling.
import onnxruntime

classifier.to_onnx(folder / "digits.onnx")
session = onnxruntime.InferenceSession(folder / "digits.onnx")
(probabilities,) = session.run(None, {"pixels": X_test.astype(np.uint8)})
print(np.abs(probabilities - classifier.predict_proba(X_test)).max() < 1e-5)

# %%
# Differences between the two are due to rounding.
import matplotlib.pyplot as plt

difference = np.abs(probabilities - classifier.predict_proba(X_test)).max(axis=1)
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.hist(np.log10(difference + 1e-12), bins=30)
ax.set(xlabel="largest difference of an image (decimal logarithm)", ylabel="images")

# %%
# The network as a torch module, which includes the scaling as well.
module = classifier.to_torch()
print(module.network.features)
