"""All formats, in the order in which they are tried: the first that reads what a template writes is its format."""

from backends.chat.format import Format
from backends.chat.formats import (
    cohere,
    deepseek,
    gemma,
    generic,
    glm,
    gpt_oss,
    granite,
    hermes,
    kimi,
    lfm2,
    llama,
    minimax,
    mistral,
    others,
    phi,
    qwen_xml,
    smollm,
)

GENERIC = generic.FORMATS[0]
FORMATS: tuple[Format, ...] = (
    *(*gpt_oss.FORMATS, *hermes.FORMATS, *qwen_xml.FORMATS, *glm.FORMATS, *mistral.FORMATS, *deepseek.FORMATS),
    *(*kimi.FORMATS, *gemma.FORMATS, *cohere.FORMATS, *minimax.FORMATS, *lfm2.FORMATS, *granite.FORMATS),
    *(*phi.FORMATS, *smollm.FORMATS, *others.FORMATS, *llama.FORMATS, GENERIC),
)


def named(name: str) -> Format:
    return next(format for format in FORMATS if format.name == name)
