"""Ollama's dialect: /api/chat, /api/generate, and what there is to know of the models."""
