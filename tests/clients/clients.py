"""The clients that are driven: what is installed for each, and the file in drives/ that uses it as its users would."""

from dataclasses import dataclass
from pathlib import Path

from tests.clients import environments
from tests.clients.environments import Environment


@dataclass(frozen=True, slots=True)
class Client:
    """packages: of Python's without versions, for these stand in pins/NAME.txt (`--pin NAME` writes the newest)."""

    name: str
    packages: tuple[str, ...]
    drive: str

    def install(self) -> Environment:
        """Raises NotInstalled."""
        make = environments.node if self.is_of_node else environments.python
        return make(self.name, self.packages)

    def pin(self) -> Path | None:
        """Raises NotInstalled. None where the versions stand here."""
        return None if self.is_of_node else environments.pin(self.name, self.packages)

    @property
    def is_of_node(self) -> bool:
        return self.drive.endswith(".mjs")


LANGCHAIN = ("langchain", "langchain-openai", "langchain-anthropic", "langchain-ollama")
LLAMA_INDEX = ("llama-index-core", "llama-index-llms-openai-like", "llama-index-embeddings-openai-like")
AI_SDK = ("ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92", "zod@4.6.7")

CLIENTS = (
    Client("openai", ("openai",), "with_openai.py"),
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
