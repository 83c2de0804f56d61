"""What models cost and gain on this machine: their cards, and the picture of all of them."""
