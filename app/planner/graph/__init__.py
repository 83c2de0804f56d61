"""The memory that llama.cpp's compute graphs take, by building them as it does and allocating them as ggml does."""
