"""llama-server's own dialect: /completion, and what its vocabulary and its template make of a text."""
