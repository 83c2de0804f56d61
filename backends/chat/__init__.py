"""What models write around their answers: calls of tools and reasoning. Text in, events out; knows no engine."""
