"""The clients that are driven: what is installed for each, and the file in drives/ that uses it as its users would.

And the suites: other projects' own tests, each run by a module here against ports that it starts itself.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.clients import anthropic_suite, environments, llama_server_suite, sources
from tests.clients.environments import Environment


@dataclass(frozen=True, slots=True)
class Client:
    """packages: of Python's without versions, for these stand in pins/NAME.txt (`--pin NAME` writes the newest)."""

    name: str
    packages: tuple[str, ...]
    drive: str
    source: str | None = None  # the package whose source, with its tests, is brought, too

    def install(self) -> Environment:
        """Raises NotInstalled."""
        make = environments.node if self.is_of_node else environments.python
        environment = make(self.name, self.packages)
        if self.source:
            sources.bring(environment.folder / "source", f"{self.source}=={environment.versions[self.source]}")
        return environment

    def pin(self) -> Path | None:
        """Raises NotInstalled. None where the versions stand here."""
        return None if self.is_of_node else environments.pin(self.name, self.packages)

    @property
    def is_of_node(self) -> bool:
        return self.drive.endswith(".mjs")


@dataclass(frozen=True, slots=True)
class Suite:
    """`main` of the module returns 0 where as many pass as must. subject: the package whose tests they are."""

    name: str
    packages: tuple[str, ...]
    module: str
    subject: str | None = None

    def install(self) -> Environment:
        """Raises NotInstalled."""
        return environments.python(self.name, self.packages)

    def pin(self) -> Path:
        """Raises NotInstalled."""
        return environments.pin(self.name, self.packages)


LANGCHAIN = ("langchain", "langchain-openai", "langchain-anthropic", "langchain-ollama")
LLAMA_INDEX = ("llama-index-core", "llama-index-llms-openai-like", "llama-index-embeddings-openai-like")
AI_SDK = ("ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92", "zod@4.6.7")

OPENAI_SUITE = ("openai", "aiohttp", "pytest", "pytest-asyncio", "rich")

CLIENTS = (
    Client("openai", ("openai",), "with_openai.py"),
    Client("openai-suite", OPENAI_SUITE, "with_openai_suite.py", source="openai"),
    Client("anthropic", ("anthropic",), "with_anthropic.py"),
    Client("ollama", ("ollama",), "with_ollama.py"),
    Client("llm", ("llm",), "with_llm.py"),
    Client("litellm", ("litellm",), "with_litellm.py"),
    Client("langchain", LANGCHAIN, "with_langchain.py"),
    Client("llama-index", LLAMA_INDEX, "with_llama_index.py"),
    Client("pydantic-ai", ("pydantic-ai-slim[openai]",), "with_pydantic_ai.py"),
    Client("instructor", ("instructor",), "with_instructor.py"),
    Client("openai-agents", ("openai-agents",), "with_openai_agents.py"),
    Client("lm-eval", ("lm-eval[api]",), "with_lm_eval.py"),
    Client("ai-sdk", AI_SDK, "with_ai_sdk.mjs"),
)

SUITES = (
    Suite("anthropic-suite", anthropic_suite.PACKAGES, anthropic_suite.__name__, subject="anthropic"),
    Suite("llama-server-suite", llama_server_suite.PACKAGES, llama_server_suite.__name__),
)
