"""How huggingface_hub behaves here: it reads its environment once, when it is first imported. So this comes first."""

import os
from types import ModuleType

DEFAULT_ENDPOINT = "https://huggingface.co"
ENDPOINT_VARIABLE = "HF_ENDPOINT"
OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # also the question for agent harnesses at the first request
    "HF_HUB_DISABLE_XET": "1",  # its transfers can be cancelled only all at once
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # they write to stderr, which a windowed application has not
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",  # a token goes where this application sends it, nowhere else
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
}


def hub_library() -> ModuleType:
    """huggingface_hub, imported late and with its environment set."""
    os.environ.update(QUIET)
    import huggingface_hub

    return huggingface_hub


def endpoint() -> str:
    """The Hub's address as the environment has it now, without a slash at the end."""
    return (os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT).rstrip("/")


def is_offline() -> bool:
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() in ("1", "on", "yes", "true")
