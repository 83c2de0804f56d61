"""The application without a window: library, jobs, engines' supervisor, port and commands. Knows no Qt."""
