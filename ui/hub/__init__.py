"""The page Discover: models of the Hub, whether they run here, and the way to have them."""
