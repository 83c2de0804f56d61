"""Finds a checkpoint's chat template wherever it hides. Renders nothing."""

from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json

MAX_TEMPLATE_BYTES = 1 << 20

Template = str | list[dict[str, str]]  # the list names several: {"name", "template"}


def read_template(folder: Path, settings: dict[str, Any]) -> Template | None:
    """chat_template.jinja, else tokenizer_config.json, else chat_template.json: the order of transformers."""
    jinja = folder / "chat_template.jinja"
    if jinja.exists():
        return _checked(_text(jinja))
    for table, key in ((settings, "tokenizer_config.json"), (_optional(folder), "chat_template.json")):
        if (template := table.get("chat_template")) is not None:
            if not _is_template(template):
                raise Refusal(f"{key} holds a chat template that is neither a text nor a list of named texts.")
            return _checked(template)
    return None


def _optional(folder: Path) -> dict[str, Any]:
    path = folder / "chat_template.json"
    return read_json(path) if path.exists() else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise Refusal(f"{path.name} cannot be read as text.") from fault


def _is_template(value: Any) -> bool:
    if isinstance(value, list):
        return all(
            isinstance(t, dict) and isinstance(t.get("name"), str) and isinstance(t.get("template"), str) for t in value
        )
    return isinstance(value, str)


def _checked(template: Template) -> Template | None:
    texts = [template] if isinstance(template, str) else [entry["template"] for entry in template]
    if sum(map(len, texts)) > MAX_TEMPLATE_BYTES:
        raise Refusal("The chat template is too large to be one.")
    return template or None
