"""Images as they are passed in, as rows of pixels, and as input of the network."""
