"""How a model is to be measured."""

from dataclasses import dataclass
from pathlib import Path

from backends.protocol import EngineOptions, KVType

CONTEXT = 512  # tokens of a chunk, as llama-perplexity has it


@dataclass(frozen=True, slots=True)
class Settings:
    """text: None for the shipped one. num_chunks: of the text, from its begin; None reads all of it.

    exact: both models in memory at once, and nothing of their predictions left out.
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
QUICK = Settings(num_chunks=8)  # some 2,000 predictions: enough for a card beside an installation
