"""What is known of a model, in Ollama's words. What it has no word for is left out, what is not known is empty."""

import hashlib
from typing import Any

from app.server.core.directory import ModelFacts

NEVER = "0001-01-01T00:00:00Z"  # Go's word for no time
THOUSANDS = ("", "K", "M", "B", "T")


def named(id_: str, facts: ModelFacts) -> dict[str, Any]:
    return {**_head(id_, facts), "modified_at": NEVER}


def loaded(id_: str, facts: ModelFacts) -> dict[str, Any]:
    return {**_head(id_, facts), "expires_at": NEVER, "size_vram": 0, "context_length": facts.context or 0}


def shown(facts: ModelFacts) -> dict[str, Any]:
    architecture = facts.architecture or ""
    info = {
        "general.architecture": architecture,
        "general.parameter_count": facts.parameters,
        f"{architecture}.context_length": facts.context_trained,
    }
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(facts),
        "model_info": {key: value for key, value in info.items() if value is not None},
        "capabilities": ["embedding" if facts.is_embedder else "completion"],
        "modified_at": NEVER,
    }


def _head(id_: str, facts: ModelFacts) -> dict[str, Any]:
    digest = hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()  # clients tell models apart by it
    return {"name": id_, "model": id_, "size": facts.bytes or 0, "digest": digest, "details": _details(facts)}


def _details(facts: ModelFacts) -> dict[str, Any]:
    architecture = facts.architecture or ""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": architecture,
        "families": [architecture] if architecture else [],
        "parameter_size": _short(facts.parameters) if facts.parameters else "",
        "quantization_level": facts.quantization or "",
    }


def _short(number: float) -> str:
    """1.5B, as Ollama writes it."""
    for unit in THOUSANDS:
        if number < 1000:
            return f"{number:.1f}{unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.0f}Q"
