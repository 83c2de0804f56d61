"""What one model does on this machine: measured (bench.py), kept as values (figures.py), told in words (page.py)."""
