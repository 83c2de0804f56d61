"""Vectors by llama.cpp in a real engine child: of an encoder, and beside the answers of a model that writes."""

import threading
from pathlib import Path

import numpy as np
import pytest

from app.inference.supervisor import EngineHandle
from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint, quantize_file
from backends.embedding import Embed, Embedded, EmbeddingRequest, Rank
from backends.protocol import DraftMode, Failed, FailureKind, Finish, Generate, Output, Pooling
from tests.convert import test_encoders as bert
from tests.inference.conftest import SECONDS, Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, PROMPTS, start


def ask(handle: EngineHandle, request: EmbeddingRequest) -> object:
    heard: list[object] = []
    done = threading.Event()

    def sink(event: object) -> None:
        heard.append(event)
        done.set()

    handle.embed(request, sink)
    assert done.wait(SECONDS)
    return heard[0]


def vectors(handle: EngineHandle, *inputs: str | tuple[int | str, ...], **fields: object) -> np.ndarray:
    event = ask(handle, Embed(inputs, **fields))  # type: ignore[arg-type]
    assert isinstance(event, Embedded), event
    return np.frombuffer(event.vectors, "<f4").reshape(len(inputs), event.dimensions)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    convert_checkpoint(bert.write(folder / "bert"), folder / "bert.gguf", "f32", logs=folder)
    return folder / "bert.gguf"


def test_an_encoder_gives_the_vectors_of_transformers(load: Load, encoder: Path) -> None:
    handle = load(encoder)
    ready = handle.wait_ready()
    assert ready.embedding is not None
    assert (ready.embedding.pooling, ready.embedding.max_tokens) == (Pooling.MEAN, 128)
    assert not ready.generates
    wanted = bert.wanted(encoder.parent / "bert", Pooling.MEAN)
    together = vectors(handle, *bert.TEXTS)
    assert (together * wanted).sum(1) == pytest.approx(1.0, abs=1e-4)
    alone = np.concatenate([vectors(handle, text) for text in bert.TEXTS])
    assert (together * alone).sum(1) == pytest.approx(1.0, abs=1e-5)


def test_an_encoder_says_that_it_cannot_chat_and_lives_on(load: Load, encoder: Path) -> None:
    handle = load(encoder)
    for prompt in ("Hello", (5, 6)):
        answer = Answer()
        handle.submit(Generate(prompt), answer)
        last = answer.wait().last
        assert isinstance(last, Failed)
        assert last.kind is FailureKind.BAD_REQUEST
        assert "cannot chat" in last.message
    assert len(vectors(handle, "a cat")) == 1


def test_token_ids_are_taken_as_they_are(load: Load, encoder: Path) -> None:
    by_text, by_tokens = vectors(load(encoder), "the cat", (2, 5, 6, 3))
    assert by_tokens == pytest.approx(by_text, abs=1e-6)


def test_a_long_text_is_refused_or_cut_at_its_end(load: Load, encoder: Path) -> None:
    handle = load(encoder)
    refused = ask(handle, Embed(("the " * 200,)))
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.CONTEXT_LENGTH
    assert "202 tokens" in refused.message
    cut, fitting = vectors(handle, "the " * 200, "the " * 126, truncates=True)
    assert cut == pytest.approx(fitting, abs=1e-6)


REFUSED: list[tuple[EmbeddingRequest, str]] = [
    (Embed(()), "From 1 to 2048 texts"),
    (Embed(("a",) * 2049), "From 1 to 2048 texts"),
    (Embed(("a", ())), "is empty"),
    (Embed(((2, 64),)), "between 0 and 63"),
    (Embed(((-1,),)), "between 0 and 63"),
    (Embed(("a",), dimensions=65), "from 1 to 64 dimensions"),
    (Embed(("a",), dimensions=0), "from 1 to 64 dimensions"),
    (Rank("a", ("b",)), "This model cannot rank"),
]


def test_what_makes_no_sense_is_refused_with_the_reason(load: Load, encoder: Path) -> None:
    handle = load(encoder)
    for request, reason in REFUSED:
        failed = ask(handle, request)
        assert isinstance(failed, Failed), request
        assert failed.kind is FailureKind.BAD_REQUEST
        assert reason in failed.message


def test_an_encoder_can_be_quantized(load: Load, encoder: Path, tmp_path: Path) -> None:
    quantize_file(encoder, tmp_path / "q8.gguf", "Q8_0", logs=tmp_path)
    exact, quantized = vectors(load(encoder), *bert.TEXTS), vectors(load(tmp_path / "q8.gguf", "q8"), *bert.TEXTS)
    assert (exact * quantized).sum(1).min() > 0.999


def test_a_model_that_writes_makes_vectors_between_its_answers(load: Load, tiny: Path) -> None:
    """And its answers are what they are without."""
    handle = load(tiny, draft=DraftMode.OFF, **EXACT)
    plain = [start(handle, prompt).wait().text for prompt in PROMPTS]
    alone = np.concatenate([vectors(handle, text) for text in bert.TEXTS])
    answers = [start(handle, prompt) for prompt in PROMPTS]
    beside = vectors(handle, *bert.TEXTS)
    assert [answer.wait().text for answer in answers] == plain
    assert beside == pytest.approx(alone, abs=1e-3)
    assert np.linalg.norm(beside, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_text_that_is_called_off_is_told_so(load: Load, tiny: Path) -> None:
    handle = load(tiny)
    heard: list[object] = []
    done = threading.Event()

    def sink(event: object) -> None:
        heard.append(event)
        done.set()

    handle.abort(handle.embed(Embed(("a " * 900,) * 200), sink))
    assert done.wait(SECONDS)
    assert isinstance(heard[0], Output)
    assert heard[0].finish is Finish.ABORT


def test_a_text_read_in_pieces_has_the_same_vector(tiny: Path, tmp_path: Path) -> None:
    whole, pieces = run_in_child("tests.llama.pooling:in_pieces", log_path=tmp_path / "log", path=tiny)
    for pooling in (Pooling.MEAN, Pooling.LAST):
        assert pieces[pooling] == pytest.approx(whole[pooling], abs=2e-3)


def test_texts_among_tokens_are_read_where_they_stand(load: Load, encoder: Path) -> None:
    """As llama-server reads them: a text at the beginning has what begins every text."""
    handle = load(encoder)
    whole = vectors(handle, "some words")
    assert np.array_equal(vectors(handle, ("some words",)), whole)
    mixed = vectors(handle, (5, "some words", 6))
    assert mixed.shape == whole.shape
    assert not np.array_equal(mixed, whole)
