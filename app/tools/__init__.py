"""Tools that a model may call in a chat: built-in ones, and those of MCP servers. Knows no window and no port."""
