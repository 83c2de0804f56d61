"""What runs in the engine process and other children. Knows no Qt and nothing of the application."""
