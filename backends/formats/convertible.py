"""Which architectures of config.json can be converted: the names of the converter's table, for those who only ask."""

from typing import Any

CONVERTIBLE = frozenset(
    {
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "GraniteForCausalLM",
        "GraniteMoeForCausalLM",
        "SmolLM3ForCausalLM",
        "Ministral3ForCausalLM",
        "Mistral3ForConditionalGeneration",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
        "Qwen3_5ForCausalLM",
        "Qwen3_5ForConditionalGeneration",
        "Qwen3NextForCausalLM",
        "GemmaForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Gemma4ForCausalLM",
        "Gemma4ForConditionalGeneration",
        "Phi3ForCausalLM",
        "Lfm2ForCausalLM",
        "GptOssForCausalLM",
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "Glm4ForCausalLM",
        "OlmoeForCausalLM",
        "Olmo2ForCausalLM",
        "Olmo3ForCausalLM",
        "BertModel",
    }
)
MAX_NAME = 64


def unconvertible(architectures: Any) -> str | None:
    """The name, of config.json's list, that no conversion knows; None where one is known or none is named."""
    if not isinstance(architectures, list) or not architectures:
        return None
    names = [name for name in architectures if isinstance(name, str)]
    return None if len(names) < len(architectures) or CONVERTIBLE.intersection(names) else names[0][:MAX_NAME]
