"""The plan before a load: what a model takes of each device, what could be chosen, and what each choice costs."""
