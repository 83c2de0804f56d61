"""Which models are loaded, and who leaves when there is no room: by bytes, not by count."""
