"""How a model is to be measured."""

from dataclasses import dataclass
from pathlib import Path

from backends.protocol import EngineOptions, KVType

CONTEXT = 512  # tokens of a chunk, as llama-perplexity has it


@dataclass(frozen=True, slots=True)
class Settings:
    """text: None for the shipped one. num_chunks: of the text, from its begin; None reads all of it.

    exact: both models in memory at once, and nothing of their predictions left out. has_choices: whether
    multiple-choice items are answered, those of `choices` or the shipped ones; has_noise: whether the model is computed
    by a second path.
    """

    text: Path | None = None
    context: int = CONTEXT
    num_chunks: int | None = None
    kv_type_k: KVType = KVType.F16
    kv_type_v: KVType = KVType.F16
    exact: bool = False
    gpu_layers: int | None = None
    threads: int | None = None
    extra_buffer_types: bool = True
    has_choices: bool = False
    choices: Path | None = None
    has_noise: bool = False

    def options(self) -> EngineOptions:
        return EngineOptions(
            context=self.context,
            kv_type_k=self.kv_type_k,
            kv_type_v=self.kv_type_v,
            gpu_layers=self.gpu_layers,
            threads=self.threads,
            extra_buffer_types=self.extra_buffer_types,
        )


DEFAULT = Settings()
WHOLE = Settings(has_choices=True, has_noise=True)  # what a card tells
# some 2,000 predictions: enough for a card beside an installation. The items would take four times as long
QUICK = Settings(num_chunks=8)
