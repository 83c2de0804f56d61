"""A word without end must not end the process: llama.cpp's own cutting of text into words would."""

from pathlib import Path

import pytest

from app.errors import RequestError
from backends.llama import native
from backends.llama.native import NativeModel
from backends.llama.vocabulary import MAX_RUN
from backends.protocol import Failed, FailureKind
from tests.llama.conftest import Load
from tests.llama.test_engine import start, timings

RUNS = ["a", "7", " ", "\n", "!", "日", "का", "aB", "a1-"]


@pytest.fixture(scope="session")
def cuts_by_regex(other_vocabulary: Path) -> Path:
    """The same file, but with a pre-tokenizer for which llama.cpp has no code of its own."""
    path = other_vocabulary.with_name("regex.gguf")
    path.write_bytes(other_vocabulary.read_bytes().replace(b"smollm", b"tekken", 1))
    return path


def test_a_marker_of_a_template_is_never_cut(tiny: Path) -> None:
    native.start()
    with NativeModel(tiny, vocab_only=True) as model:
        (end,) = model.vocabulary.tokenize("<|im_end|>", add_special=False, parse_special=True)
        for length in range(MAX_RUN - 15, MAX_RUN + 15):
            tokens = model.vocabulary.tokenize("日" * length + "<|im_end|>" + "本" * MAX_RUN, False, parse_special=True)
            assert tokens.count(end) == 1


def test_a_word_without_end_is_a_prompt_that_is_too_long(load: Load, cuts_by_regex: Path) -> None:
    handle = load(cuts_by_regex)
    most = handle.wait_ready().max_characters
    assert most
    for run in RUNS:
        with pytest.raises(RequestError):
            start(handle, run * (most // len(run) + 1))
        last = start(handle, run * (most // len(run))).wait().last
        assert isinstance(last, Failed) or run.isspace()  # of blanks a token has as many as the longest piece
        assert not isinstance(last, Failed) or last.kind is FailureKind.CONTEXT_LENGTH
    assert timings(start(handle, "Still here?", max_tokens=5)).predicted_n == 5


def test_the_text_is_the_same_and_so_are_the_tokens_before_the_cut(tiny: Path) -> None:
    native.start()
    with NativeModel(tiny, vocab_only=True) as model:
        for run in RUNS:
            text = f"x = {run * (5000 // len(run))}, and so on"
            tokens = model.vocabulary.tokenize(text, add_special=True, parse_special=True)
            assert b"".join(map(model.vocabulary.piece, tokens)).decode() == text
            whole = model.vocabulary._tokenize(text, True, True)
            assert tokens[: MAX_RUN // 8] == whole[: MAX_RUN // 8]
            assert abs(len(tokens) - len(whole)) <= 2 * 5000 // MAX_RUN


def test_text_with_words_is_left_as_it_is(tiny: Path) -> None:
    native.start()
    text = "The quick brown fox jumps. 日本語の文章 " * 500 + "x" * (MAX_RUN - 1)
    with NativeModel(tiny, vocab_only=True) as model:
        assert model.vocabulary.tokenize(text, True, True) == model.vocabulary._tokenize(text, True, True)
