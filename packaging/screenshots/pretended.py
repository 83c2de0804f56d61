"""What the pictures show and a machine at work has not got at hand: a Hub with repositories, and downloads.

The names and numbers are made up; nothing here is a measurement.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from app.errors import Cancelled
from app.hub.client import Page
from app.hub.repository import Format, HubFile, Repository, RepositorySummary, SearchQuery
from app.hub.variants import variants
from app.jobs.job import JobContext
from app.planner.machine import GIB, Gpu, Machine
from backends.child import Progress
from backends.formats.gguf import Header

MACHINE = Machine.at_rest(16_000_000_000)
WITH_GPU = Machine(27 * GIB, 32 * GIB, (Gpu("CUDA0", 11 * GIB, 12 * GIB),))
PARAMETERS = 8_030_000_000
SIZES = {"Q3_K_M": 4.02, "Q4_K_M": 4.92, "Q5_K_M": 5.73, "Q6_K": 6.60, "Q8_0": 8.54, "BF16": 16.07}  # GB
CARD = """# Orion 8B Instruct

A language model of eight billion parameters that follows instructions, in the sizes below.

| Type | Size | For |
|---|---|---|
| Q4_K_M | 4.92 GB | most machines |
| Q6_K | 6.60 GB | near the original |
| Q8_0 | 8.54 GB | as good as the original |

## Use

Chat with it in any application that reads GGUF. Its context holds 32,768 tokens.
"""


class PretendedHub:
    """Answers as app.hub.client.HubClient does, at once."""

    def page(self, query: SearchQuery, limit: int = 30, following: str | None = None) -> Page:  # noqa: ARG002
        return Page(tuple(_hits()), None)

    def repository(self, id_: str) -> Repository:
        hit = next(hit for hit in _hits() if hit.id == id_)
        name = id_.partition("/")[2].removesuffix("-GGUF")
        files = tuple(_file(f"{name}-{type_}.gguf", size) for type_, size in SIZES.items())
        return Repository(
            id_,
            sha1(id_.encode()).hexdigest(),
            files,
            variants(files),
            page=f"https://huggingface.co/{id_}",
            card=CARD,
            downloads=hit.downloads,
            likes=hit.likes,
            updated=hit.updated,
            license=hit.license,
            architecture=hit.architecture,
            parameters=hit.parameters,
        )

    def peek_header(self, _id: str, _commit: str, file: HubFile) -> Header:
        sizes = {"block_count": 32, "embedding_length": 4096, "attention.head_count": 32, "context_length": 32_768}
        metadata = {"general.architecture": "llama", "llama.attention.head_count_kv": 8}
        metadata |= {f"llama.{key}": value for key, value in sizes.items()}
        return Header(Path(file.path), 3, metadata, (), 0, file.bytes)

    def close(self) -> None:
        pass


@dataclass
class PretendedInstall:
    """A job that stays where it is until it is called off, or is done at once with a result."""

    title: str
    step: int = 0
    fraction: float = 0.0
    text: str = ""
    result: Any = None
    steps: tuple[str, ...] = ("Download", "Convert", "Quantize", "Measure", "Add")

    @property
    def weights(self) -> tuple[int, ...]:
        return (60, *(10 for _ in self.steps[1:]))

    def run(self, context: JobContext) -> Any:
        for number in range(self.step):
            context.step(number)(Progress(1.0, ""))
        context.step(self.step)(Progress(self.fraction, self.text))
        if self.result is None:
            context.cancelled.wait()
            raise Cancelled("Cancelled.")
        return self.result


def _hits() -> list[RepositorySummary]:
    rows = (
        ("acme/Orion-8B-Instruct-GGUF", 1_240_000, 912, PARAMETERS, "llama", "apache-2.0", Format.GGUF),
        ("acme/Orion-8B-Instruct", 684_000, 1503, PARAMETERS, "llama", "apache-2.0", Format.SAFETENSORS),
        ("acme/Orion-1B-Instruct-GGUF", 402_000, 377, 1_240_000_000, "llama", "apache-2.0", Format.GGUF),
        ("north-star/orion-8b-coder-GGUF", 96_500, 141, PARAMETERS, "llama", "mit", Format.GGUF),
        ("acme/Orion-30B-A3B-GGUF", 88_200, 286, 30_500_000_000, "qwen3moe", "apache-2.0", Format.GGUF),
        ("lakeside/Orion-8B-Poetry", 9_120, 64, PARAMETERS, "llama", "cc-by-4.0", Format.SAFETENSORS),
    )
    return [
        RepositorySummary(
            id_,
            downloads=downloads,
            likes=likes,
            updated=datetime(2026, 11, 3, tzinfo=UTC),
            license=license_,
            architecture=architecture,
            parameters=parameters,
            formats=(format_,),
        )
        for id_, downloads, likes, parameters, architecture, license_, format_ in rows
    ]


def _file(path: str, gigabytes: float) -> HubFile:
    return HubFile(path, int(gigabytes * 1e9), sha256(path.encode()).hexdigest())
