"""X, y and sample weights, checked and converted for training and prediction."""
