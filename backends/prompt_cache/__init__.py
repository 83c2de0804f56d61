"""The tiers below the KV cache, RAM and disk: states of slots that gave up their cells. Knows no slot."""
