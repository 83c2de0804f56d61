"""The page “Downloads”: what is on its way into the library, and what has arrived."""
