"""The formats of models, one file a family."""
