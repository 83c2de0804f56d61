"""Hostile input, counted. One file an area; each offers `cases()`, and `python -m tests.bench.attacks` runs them."""
