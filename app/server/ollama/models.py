"""What is known of a model, in Ollama's words. What it has no word for is left out, what is not known is empty."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from app.server.core.directory import ModelFacts

UNKNOWN = datetime.fromtimestamp(0, UTC)  # clients count the time since
STAYS = timedelta(days=365)  # nothing unloads it by the clock
THOUSANDS = ("", "K", "M", "B", "T")


def named(id_: str, facts: ModelFacts) -> dict[str, Any]:
    return {**_head(id_, facts), "modified_at": _modified(facts)}


def loaded(id_: str, facts: ModelFacts) -> dict[str, Any]:
    return {
        **_head(id_, facts),
        "expires_at": _time(datetime.now(UTC) + STAYS),
        "size_vram": 0,
        "context_length": facts.context or 0,
    }


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
        "capabilities": sorted(facts.capabilities) or ["embedding" if facts.is_embedder else "completion"],
        "modified_at": _modified(facts),
    }


def _modified(facts: ModelFacts) -> str:
    return _time(facts.modified or UNKNOWN)


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


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
