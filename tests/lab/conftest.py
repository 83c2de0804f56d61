"""Tiny random models with real tokenizers: a reference, one that differs a little, quantizations, a stranger."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.jobs.convert import convert_checkpoint, quantize_file
from app.lab.evaluate import evaluate
from app.lab.settings import Settings
from backends.measurement import Evaluation
from tests.convert import checkpoints

SENTENCE = "The quick brown fox doesn't sleep; 日本語 and español, 3.14 lazy dogs?\n"
CONTEXT = 32

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Made:
    """A GGUF file, and the checkpoint that it was made from."""

    file: Path
    settings: dict[str, Any]
    tensors: Tensors


def make(folder: Path, name: str, noise: float = 0.0, kind: str = "qwen2", **changes: Any) -> Made:
    """noise: how far every matrix is from the one of the same shape and seed."""
    shape = {"hidden_size": 128, "intermediate_size": 128, "max_position_embeddings": 1024}
    settings = checkpoints.config(**(shape | changes))
    random = np.random.default_rng(1)
    tensors = checkpoints.weights(settings)
    for key, value in tensors.items():
        if value.ndim == 2:
            tensors[key] = (value * (1 + noise * random.standard_normal(value.shape))).astype(np.float32)
    checkpoints.write(folder / name, settings, kind, **tensors)
    convert_checkpoint(folder / name, folder / f"{name}.gguf", "f32", logs=folder)
    return Made(folder / f"{name}.gguf", settings, tensors)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab models")


@pytest.fixture(scope="session")
def original(models: Path) -> Made:
    return make(models, "tiny-F32")


@pytest.fixture(scope="session")
def altered(models: Path) -> Made:
    return make(models, "altered", noise=0.05)


@pytest.fixture(scope="session")
def q4(models: Path, original: Made) -> Path:
    quantize_file(original.file, models / "tiny-Q4_0.gguf", "Q4_0", logs=models)
    return models / "tiny-Q4_0.gguf"


@pytest.fixture(scope="session")
def stranger(models: Path) -> Path:
    return make(models, "stranger", kind="smollm").file


@pytest.fixture(scope="session")
def wide(models: Path) -> tuple[Path, Path]:
    """A model and its Q8_0 with a vocabulary that is not kept whole."""
    full = make(models, "wide", hidden_size=64, intermediate_size=64, num_hidden_layers=1, vocab_size=6000).file
    quantize_file(full, models / "wide-Q8_0.gguf", "Q8_0", logs=models)
    return full, models / "wide-Q8_0.gguf"


@pytest.fixture(scope="session")
def text(models: Path) -> Path:
    path = models / "text.txt"
    path.write_text(SENTENCE * 5, "utf-8")
    return path


Measure = Callable[..., Evaluation]


@pytest.fixture
def measure(tmp_path: Path, text: Path) -> Measure:
    """`evaluate` on the short text, with one thread: the machine may be busy."""

    def call(model: Path, against: Path | None = None, **options: Any) -> Evaluation:
        hooks = {key: options.pop(key) for key in ("on_progress", "cancelled") if key in options}
        settings = Settings(**({"text": text, "context": CONTEXT, "threads": 1} | options))
        return evaluate(model, against, settings=settings, logs=tmp_path, cache=tmp_path / "cache", **hooks)

    return call
