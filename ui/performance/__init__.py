"""The page Performance: the last ten minutes, drawn."""
