"""The kinds of writing that the formats of models are made of."""
