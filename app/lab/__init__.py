"""What a model file is worth on this machine: its quality beside a reference, its speed, and the cards that say so."""
