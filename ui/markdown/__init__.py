"""Markdown that arrives in pieces: where it can be cut, how it is shown, how code is colored."""
