"""
Custom images
=============

Train on a folder of image files of any size and format, with one subfolder per class.
"""

# %%
# For this example, a folder is created from some of the digits, enlarged and dark on
# bright.
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits, load_image_folder
from sklenet.preprocessing import DarkBackground

X, y = load_digits(return_X_y=True)
root = Path(tempfile.mkdtemp())
for k, (row, label) in enumerate(zip(X[:600], y, strict=False)):
    if label in (3, 8):
        folder = root / ("three" if label == 3 else "eight")
        folder.mkdir(exist_ok=True)
        ink = 255 - (row.reshape(8, 8) * 15.9).astype(np.uint8)
        Image.fromarray(ink).resize((60, 60)).save(folder / f"{k}.png")

# %%
# The files are read as grey images of the same size, and converted to bright on dark.
images = load_image_folder(root, image_shape=(28, 28))
X = DarkBackground(maximum=255).transform(images.images)
print(X.shape, sorted(set(images.target)))

# %%
from sklearn.model_selection import cross_val_score

scores = cross_val_score(
    LeNet5Classifier(max_epochs=10, random_state=0), X, images.target, cv=3
)
print(scores.round(3))

# %%
# What a model makes of new files: the images, the input of the network, and the
# probabilities. ``sklenet predict MODEL IMAGE --show FILE`` writes the same figure.
from sklenet.display import PredictionDisplay

model = LeNet5Classifier(max_epochs=10, random_state=0, framing="whole")
model.fit(images.images, images.target)
PredictionDisplay.from_files(model, images.filenames[-3:])
