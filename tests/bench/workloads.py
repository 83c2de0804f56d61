"""Chats that differ in how much of the answer can be guessed. The guide answers them for real, whatever its size.

`edit`: the earlier answer stands in the chat and is asked for again. `quote`: three passages stand in the question, one
of them has the answer. `code`: answers with commands and options. `chat`: paraphrases it was never trained on.
"""

import tomllib
from pathlib import Path
from typing import Any

QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions.toml"
NUM_CHATS = 8
MIN_ANSWER = 120  # characters
WORKLOADS = ("edit", "code", "quote", "chat")

Messages = list[dict[str, str]]


def chats(workload: str) -> list[dict[str, Any]]:
    """Bodies for /v1/chat/completions, greedy, streamed."""
    return [_body(messages) for messages in _messages(workload)]


def _messages(workload: str) -> list[Messages]:
    entries = [entry for entry in _entries() if len(entry["answer"]) >= MIN_ANSWER]
    if workload == "code":
        return [[_user(entry["question"])] for entry in entries if entry["answer"].count("`") >= 4][:NUM_CHATS]
    if workload == "chat":
        return [[_user(entry["held_out"][0])] for entry in entries if entry.get("held_out")][:NUM_CHATS]
    chosen = entries[:: len(entries) // NUM_CHATS][:NUM_CHATS]
    if workload == "edit":
        return [_again(entry) for entry in chosen]
    return [[_user(_passages(entry, entries, n) + entry["question"])] for n, entry in enumerate(chosen)]


def _again(entry: dict[str, Any]) -> Messages:
    question = _user(entry["question"])
    return [question, {"role": "assistant", "content": entry["answer"]}, question]


def _passages(entry: dict[str, Any], entries: list[dict[str, Any]], number: int) -> str:
    others = [other["answer"] for other in entries if other is not entry]
    passages = [others[3 * number], entry["answer"], others[3 * number + 1]]
    return "\n\n".join(passages) + "\n\n"


def _entries() -> list[dict[str, Any]]:
    topics = tomllib.loads(QUESTIONS.read_text("utf-8"))
    return [entry for topic in topics.values() for entry in topic]


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _body(messages: Messages) -> dict[str, Any]:
    return {
        "messages": messages,
        "max_tokens": 160,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
