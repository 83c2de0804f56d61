"""Finds a checkpoint's chat templates wherever they hide. Renders nothing."""

import re
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json
from backends.regular_file import OddFileError, TooLargeError, read_regular

MAX_TEMPLATE_BYTES = 1 << 20  # of all of them together
MAX_TEMPLATES = 32
DEFAULT = "default"
MORE = "additional_chat_templates"  # a folder
NO_TEXT = "{} holds a chat template that is neither a text nor a list of named texts."

Templates = dict[str, str]  # "default", "tool_use", "rag" … -> Jinja


def read_templates(folder: Path, settings: dict[str, Any]) -> Templates:
    """chat_template.jinja, else tokenizer_config.json, else chat_template.json: the order of transformers.

    Those of a folder beside them have names of their own, and come first.
    """
    templates: Templates = {}
    if (folder / "chat_template.jinja").exists():
        templates = {DEFAULT: _text(folder / "chat_template.jinja")}
    elif settings.get("chat_template") is not None:
        templates = _named(settings["chat_template"], "tokenizer_config.json")
    elif (folder / "chat_template.json").exists():
        template = read_json(folder / "chat_template.json").get("chat_template")
        templates = {} if template is None else _named(template, "chat_template.json")
    if (folder / MORE).is_dir():
        files = sorted((folder / MORE).glob("*.jinja"))
        templates |= {_name(path.stem): _text(path) for path in files[: MAX_TEMPLATES + 1]}
    if len(templates) > MAX_TEMPLATES or sum(map(len, templates.values())) > MAX_TEMPLATE_BYTES:
        raise Refusal("The chat template is too large to be one.")
    try:
        "".join(templates.values()).encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold (\ud800)
        raise Refusal("The chat template holds what is no text. Download the checkpoint again.") from None
    return {name: template for name, template in templates.items() if template}


def _named(value: Any, file: str) -> Templates:
    if isinstance(value, str):
        return {DEFAULT: value}
    if not isinstance(value, list) or len(value) > MAX_TEMPLATES:
        raise Refusal(NO_TEXT.format(file))
    templates: Templates = {}
    for entry in value:
        match entry:
            case {"name": str(name), "template": str(template)}:
                templates[_name(name)] = template
            case _:
                raise Refusal(NO_TEXT.format(file))
    return templates


def _name(name: str) -> str:
    """Part of a key in the new file."""
    return re.sub(r"[^A-Za-z0-9]", "_", name[:64]) or "_"


def _text(path: Path) -> str:
    try:
        return read_regular(path, MAX_TEMPLATE_BYTES).decode("utf-8").replace("\r\n", "\n")
    except TooLargeError as fault:
        raise Refusal("The chat template is too large to be one.") from fault
    except OddFileError as fault:
        raise Refusal(f"{path.name} cannot be the chat template: {fault.strerror}.") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise Refusal(f"{path.name} cannot be read as text.") from fault
