"""What every dialect shares: a validated request becomes Generates, their events an answer. Knows no dialect."""
