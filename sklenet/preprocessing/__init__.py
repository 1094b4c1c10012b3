"""scikit-learn transformers for images, flat or image-shaped.

Flat rows come out flat, images (n, h, w) or (n, c, h, w) as images. The shape of flat rows
is found as `LeNet5Classifier` finds it, or given as `image_shape`.
"""

from sklenet.preprocessing.inverter import Inverter
from sklenet.preprocessing.polarity import DarkBackground
from sklenet.preprocessing.reshape import Padder, Resizer
from sklenet.preprocessing.scaler import PixelScaler

__all__ = ["DarkBackground", "Inverter", "Padder", "PixelScaler", "Resizer"]
