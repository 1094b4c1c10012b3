"""What `fit` and `predict` make of X, y and sample_weight."""
