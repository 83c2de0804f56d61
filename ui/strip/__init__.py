"""The live strip at the window's foot."""
