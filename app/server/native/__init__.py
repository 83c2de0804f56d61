"""Slipstream's own API below /api/slipstream: what the window can do, for commands and scripts."""
