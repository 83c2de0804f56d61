"""all-MiniLM-L6-v2 from its package: converted, quantized, asked for vectors; its published ones are the truth."""

from pathlib import Path

import numpy as np
import pytest

from app.jobs.convert import convert_checkpoint, quantize_file
from backends.embedding import Embed, Embedded
from tests.llama.conftest import Load, load, supervisor
from tests.llama.test_embeddings import ask, vectors
from tests.real import things

__all__ = ["Load", "load", "supervisor"]  # fixtures

pytestmark = pytest.mark.real

# of “This is an example sentence”, as the model's own package and sentence-transformers give it
PUBLISHED = (0.06765693, 0.06349594, 0.04871312, 0.07930496)
TEXTS = (
    "This is an example sentence",
    "Each sentence is converted",
    "",
    "Grüße aus München: l'été à la plage, 12,345 λόγοι и слова",
    "日本語の文章です。中文，没有空格",
    "def f(x):\n    return x**2  # ok",
    "The quick brown fox jumps over the lazy dog. " * 20,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("minilm")
    full = folder / "all-MiniLM-L6-v2-F16.gguf"
    assert convert_checkpoint(things.minilm(), full, "f16", logs=folder).verified_texts > 800
    quantize_file(full, folder / "q8.gguf", "Q8_0", logs=folder)
    return {"F16": full, "Q8_0": folder / "q8.gguf"}


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    """[texts, 384], by torch from the same weights as sentence-transformers has it: the mean, normalised."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = BertModel.from_pretrained(things.minilm()).eval()
    read = Tokenizer.from_file(str(things.minilm() / "tokenizer.json"))
    read.no_truncation()
    read.no_padding()
    with torch.no_grad():
        means = [model(torch.tensor([read.encode(text).ids])).last_hidden_state[0].mean(0) for text in TEXTS]
    return torch.nn.functional.normalize(torch.stack(means)).numpy()


@pytest.mark.parametrize(("kind", "least"), [("F16", 0.9999), ("Q8_0", 0.998)])
def test_its_vectors_are_the_published_ones(
    kind: str, least: float, files: dict[str, Path], wanted: np.ndarray, load: Load
) -> None:
    assert wanted[0][:4] == pytest.approx(PUBLISHED, abs=1e-6)
    got = vectors(load(files[kind]), *TEXTS)
    assert (got * wanted).sum(1).min() >= least


def test_a_thousand_texts_come_in_one_answer(files: dict[str, Path], load: Load) -> None:
    handle = load(files["F16"])
    texts = tuple(f"text number {number}" for number in range(1000))
    event = ask(handle, Embed(texts))
    assert isinstance(event, Embedded)
    many = np.frombuffer(event.vectors, "<f4").reshape(1000, 384)
    for at in (0, 1, 500, 999):
        assert many[at] @ vectors(handle, texts[at])[0] == pytest.approx(1.0, abs=1e-5)
