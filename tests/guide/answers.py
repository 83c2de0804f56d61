"""What the guide was taught, read from the file that it was taught from."""

import tomllib
from pathlib import Path

QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions.toml"
TOPICS = tomllib.loads(QUESTIONS.read_text("utf-8"))
ENTRIES = [entry for topic in TOPICS.values() for entry in topic]


TRAINED = [(q, e["answer"]) for e in ENTRIES for q in (e["question"], *e["paraphrases"])]
HELD_OUT = [(q, e["answer"]) for e in ENTRIES for q in e["held_out"]]
ANSWERS: dict[str, str] = dict(TRAINED)
