"""How fast models are on this machine: measured, tuned, and drawn over time."""
