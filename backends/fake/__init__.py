"""A backend without a model: deterministic, checks every KV position, crashes on order. The test seam, shipped."""
