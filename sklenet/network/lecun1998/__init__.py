"""Parts of the network of the 1998 paper that neither torch nor scikit-learn has."""
