"""Long work with progress and cancel: its queue, the children that do it, and the jobs themselves."""
