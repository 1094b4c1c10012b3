"""What the data sets are, and what their classes are called."""

DESCR = {
    "MNIST": """MNIST handwritten digits

70,000 grey 28x28 images of the digits 0 to 9, white on black, pixels 0 to 255; the first
60,000 are the training set, the last 10,000 the test set. LeCun, Cortes, Burges, 1998.
""",
    "FashionMNIST": """Fashion-MNIST

70,000 grey 28x28 images of articles of clothing in 10 classes, pixels 0 to 255; the first
60,000 are the training set, the last 10,000 the test set. Xiao, Rasul, Vollgraf, 2017.
""",
    "CIFAR10": """CIFAR-10

60,000 colour 32x32 images of 10 classes of things, pixels 0 to 255, channels red, green,
blue; the first 50,000 are the training set, the last 10,000 the test set. Krizhevsky,
2009.
""",
    "digits": """Optical recognition of handwritten digits

1,797 grey 8x8 images of the digits 0 to 9, pixels 0 to 16, as scikit-learn ships them
(the test set of the UCI ML hand-written digits). The split into 1,437 training and 360
test images is stratified and fixed. Alpaydin and Kaynak, 1998.
""",
}


DIGITS = list("0123456789")
CLOTHES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
THINGS = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]
