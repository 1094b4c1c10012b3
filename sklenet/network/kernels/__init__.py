"""Compiled loops for the forward and the backward pass of LeNet-5 on a CPU.

The functions are plain Python on numpy arrays, compiled by numba. The images of a batch
are the last axis of every array, so that what is done to a pixel or a unit is done to all
images at once, by vector instructions on contiguous memory.

====================  ================================================================
``convolution.py``    convolutions and their gradients
``pooling.py``        a convolution with its activation and its pooling, and the gradient
``activation.py``     activations and their slopes, of whole rows
``dense.py``          fully connected layers and radial basis functions
``losses.py``         losses and their gradients
``images.py``         batches of images from bytes
``optimizers.py``     the steps of optimizers
``compiler.py``       compiling, and the cache of what has been compiled
``layers.py``         the layers of a network in terms of these functions
====================  ================================================================

Importing this package does not import numba; `compiler.load_layers` does.
"""
