"""safetensors to GGUF, table-driven: knows no llama.cpp, no torch, and runs no code of the checkpoint."""
