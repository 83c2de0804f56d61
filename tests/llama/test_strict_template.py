"""A real engine with a model whose template takes no system turn and no two of one role: it chats all the same.

The file has templates by name only, and none that is the default.
"""

from pathlib import Path

import pytest

from app.jobs.convert import convert_checkpoint
from backends.formats.gguf import describe, read_header
from backends.protocol import Generate, Message, Output
from tests.convert import checkpoints
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_chat_format import NO_SYSTEM


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strict")
    checkpoints.write(folder / "checkpoint", checkpoints.config(max_position_embeddings=2048))
    named = [{"name": "tool_use", "template": "{{ tools[0] }}"}, {"name": "strict", "template": NO_SYSTEM}]
    checkpoints.change_json(folder / "checkpoint" / "tokenizer_config.json", chat_template=named)
    convert_checkpoint(folder / "checkpoint", folder / "strict.gguf", "f32", logs=folder)
    return folder / "strict.gguf"


def test_it_answers_a_chat_that_its_template_refuses(load: Load, strict: Path) -> None:
    handle = load(strict)
    ready = handle.snapshot.ready
    assert ready
    assert ready.has_chat_template
    assert describe(read_header(strict)).has_chat_template
    assert any("takes no system prompt" in note for note in ready.notes)
    turns = Message("user", "Hi"), Message("assistant", ""), Message("user", "Are you there?")
    chats = {"system": (Message("system", "Be brief."), turns[0]), "stopped": turns, "twice": (turns[0], turns[2])}
    for name, chat in chats.items():
        answer = Answer()
        handle.submit(Generate(chat, max_tokens=3), answer)
        answer.wait()
        assert isinstance(answer.last, Output), f"{name}: {answer.last}"
