"""The engine: which tokens are decoded next, what the KV cache holds, and the process around it."""
