"""The models page: what is on this machine, and what can be done with it."""
