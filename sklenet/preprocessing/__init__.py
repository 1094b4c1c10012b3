"""scikit-learn transformers for images.

Images are passed as flat rows (n, n_features) or as arrays (n, h, w) or (n, c, h, w), and
returned in the same form. The shape of flat images is given by the `image_shape` parameter,
or inferred as `LeNet5Classifier` infers it.
"""

from sklenet.preprocessing.disturber import Disturber
from sklenet.preprocessing.inverter import Inverter
from sklenet.preprocessing.polarity import DarkBackground
from sklenet.preprocessing.reshape import Padder, Resizer
from sklenet.preprocessing.scaler import PixelScaler

__all__ = [
    "DarkBackground",
    "Disturber",
    "Inverter",
    "Padder",
    "PixelScaler",
    "Resizer",
]
