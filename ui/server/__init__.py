"""The server page: the local port and how to call it."""
