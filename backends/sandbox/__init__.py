"""Foreign code, where it can be ended: chat templates and grammars are tried in a child of the engine."""
