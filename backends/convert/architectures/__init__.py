"""The one table of architectures that can be converted, a file per family."""

from backends.convert.architectures import (
    bert,
    deepseek,
    gemma,
    gemma4,
    glm,
    gpt_oss,
    lfm2,
    llama,
    mistral3,
    olmo,
    phi,
    qwen,
    qwen_next,
)
from backends.convert.architectures.table import Architecture

ARCHITECTURES: dict[str, Architecture] = {
    **llama.ARCHITECTURES,
    **mistral3.ARCHITECTURES,
    **qwen.ARCHITECTURES,
    **qwen_next.ARCHITECTURES,
    **gemma.ARCHITECTURES,
    **gemma4.ARCHITECTURES,
    **phi.ARCHITECTURES,
    **lfm2.ARCHITECTURES,
    **gpt_oss.ARCHITECTURES,
    **deepseek.ARCHITECTURES,
    **glm.ARCHITECTURES,
    **olmo.ARCHITECTURES,
    **bert.ARCHITECTURES,
}
