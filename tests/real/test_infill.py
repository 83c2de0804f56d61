"""The prompts of missing middles on real vocabularies, some of which have tokens for them under names of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends.engine.runner import PromptError
from backends.llama import native
from backends.llama.infill_tokens import CANNOT, InfillTokens
from backends.llama.native import NativeModel
from backends.llama.prompt_tokens import PromptTokens
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import FailureKind, Infill
from tests.real import things

pytestmark = pytest.mark.real
MARKS = {
    "starcoder": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "refact": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "deepseek-coder": ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
}
ADD = Infill("def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n")


@contextmanager
def vocabulary(name: str) -> Iterator[NativeVocabulary]:
    native.start()
    with NativeModel(things.sdist() / "models" / f"ggml-vocab-{name}.gguf", vocab_only=True) as model:
        yield model.vocabulary


def spelled(known: NativeVocabulary, prompt: Infill, context: int | None = None, reads_markers: bool = False) -> str:
    tokens = InfillTokens(known, PromptTokens(known)).of(prompt, context, reads_markers)
    return b"".join(known.piece(token, special=True) for token in tokens).decode()


@pytest.mark.parametrize("name", MARKS)
def test_the_middle_is_asked_for_with_the_models_own_tokens(name: str) -> None:
    before, behind, middle = MARKS[name]
    with vocabulary(name) as known:
        assert spelled(known, ADD).endswith(f"{before}{ADD.prefix}{behind}{ADD.suffix}{middle}")


def test_marks_that_people_write_are_text() -> None:
    with vocabulary("starcoder") as known:
        (mark,) = known.tokenize("<fim_middle>", add_special=False, parse_special=True)
        tokens = InfillTokens(known, PromptTokens(known))
        said = Infill("a<fim_middle>", "b")
        assert tokens.of(said, None, reads_markers=False).count(mark) == 1
        assert tokens.of(said, None, reads_markers=True).count(mark) == 2


def test_of_other_files_the_last_ones_come_along_as_far_as_there_is_room() -> None:
    files = tuple((f"{name}.py", f"{name} = 1\n" * 20) for name in ("one", "two", "three"))
    with vocabulary("starcoder") as known:
        whole = spelled(known, Infill("a", "b", files))
        assert [whole.index(name) for name, _ in files] == sorted(whole.index(name) for name, _ in files)
        few = spelled(known, Infill("a", "b", files), context=200)
        assert "three" in few
        assert "one" not in few
        assert "three" not in spelled(known, Infill("a", "b", files), context=8)


@pytest.mark.parametrize("name", ["gpt-2", "llama-bpe"])
def test_a_vocabulary_without_such_tokens_is_told_apart(name: str) -> None:
    with vocabulary(name) as known, pytest.raises(PromptError) as refused:
        spelled(known, ADD)
    assert refused.value.kind is FailureKind.NO_INFILL
    assert str(refused.value) == CANNOT
