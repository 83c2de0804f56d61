"""Quantizing and importance matrices by llama.cpp. Runs in a child of its own, never beside an engine."""
