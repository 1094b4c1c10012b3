"""Compiled loops for the forward and the backward pass of LeNet-5 on a CPU.

The functions are plain Python on numpy arrays, compiled by numba. The images of a batch
are the last axis of most arrays, so that vector instructions on contiguous memory compute a
pixel or a unit of all images at once.

====================  ================================================================
``convolution.py``    convolutions and their gradients
``pooling.py``        a convolution with its activation and its pooling, and the gradient
``activation.py``     activations and their slopes, of whole rows
``dense.py``          fully connected layers and radial basis functions
``losses.py``         losses and their gradients
``images.py``         batches of images from bytes
``augmentation.py``   random changes of images
``optimizers.py``     the steps of optimizers
``compiler.py``       compilation, and the cache of compiled kernels
``layers.py``         the layers of a network in terms of these functions
====================  ================================================================

Importing this package does not import numba; `compiler.load_layers` does.
"""
