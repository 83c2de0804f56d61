"""Whose files a model's are. Only managed ones are ever written, moved or deleted."""

from enum import StrEnum


class Origin(StrEnum):
    """In the order in which they are listed."""

    MANAGED = "slipstream"
    LM_STUDIO = "lm-studio"
    OLLAMA = "ollama"
    JAN = "jan"
    HF_CACHE = "hf-cache"
    FOLDER = "folder"

    @property
    def label(self) -> str:
        return LABELS[self]


LABELS = {
    Origin.MANAGED: "Slipstream",
    Origin.LM_STUDIO: "LM Studio",
    Origin.OLLAMA: "Ollama",
    Origin.JAN: "Jan",
    Origin.HF_CACHE: "Hugging Face cache",
    Origin.FOLDER: "Your folders",
}
FOREIGN = (Origin.LM_STUDIO, Origin.OLLAMA, Origin.JAN, Origin.HF_CACHE)
