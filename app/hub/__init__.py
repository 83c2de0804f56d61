"""What the Hub knows: search, repositories, headers read from afar. No window, no downloads, no library."""
