"""Images as they are passed in, as rows of pixels, and as the network sees them."""
