"""The clients that are driven: what is installed for each, and the file in drives/ that uses it as its users would."""

from dataclasses import dataclass

from tests.clients import environments, sources
from tests.clients.environments import Environment


@dataclass(frozen=True, slots=True)
class Client:
    """packages: without versions, for the newest is what people install; the table says which came."""

    name: str
    packages: tuple[str, ...]
    drive: str
    source: str | None = None  # the package whose source, with its tests, is brought, too

    def install(self) -> Environment:
        """Raises NotInstalled."""
        make = environments.node if self.drive.endswith(".mjs") else environments.python
        environment = make(self.name, self.packages)
        if self.source:
            sources.bring(environment.folder / "source", f"{self.source}=={environment.versions[self.source]}")
        return environment


OPENAI_SUITE = ("openai", "aiohttp", "pytest", "pytest-asyncio", "rich")

CLIENTS = (
    Client("openai", ("openai",), "with_openai.py"),
    Client("openai-suite", OPENAI_SUITE, "with_openai_suite.py", source="openai"),
    Client("anthropic", ("anthropic",), "with_anthropic.py"),
    Client("ollama", ("ollama",), "with_ollama.py"),
    Client("llm", ("llm",), "with_llm.py"),
    Client("ai-sdk", ("ai", "@ai-sdk/openai-compatible", "zod"), "with_ai_sdk.mjs"),
)
