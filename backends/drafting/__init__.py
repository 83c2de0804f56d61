"""Guesses at the next tokens: who makes them, what they cost here, and how many of them pay."""
