"""One file per command; each has `add_arguments(parser)` and `run(arguments)`, and imports what it needs late."""
