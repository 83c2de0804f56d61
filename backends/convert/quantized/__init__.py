"""Checkpoints that are quantized already, back to floats, tensor by tensor. Knows no architecture and no GGUF."""
