"""A conversation in a terminal. Knows engines by their supervisor; models and their files only by name."""
