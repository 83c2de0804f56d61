"""The folder of weights: what lies there, what its files say of themselves. Starts no engine."""
