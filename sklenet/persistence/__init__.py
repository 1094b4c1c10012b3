"""Save, load and export fitted estimators."""
