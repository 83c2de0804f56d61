"""Models that Ollama has packed for its own engine: with image or sound encoders in one file, or under its own names.

llama.cpp counts the tensors of a file and refuses one that holds more than its language model (llama-model-loader.cpp,
`done_getting_tensors`); Ollama's files leave out settings besides, which Ollama puts in as it loads them.
"""

from collections.abc import Collection

ENCODERS = ("v.", "mm.", "a.", "s.", "vision.", "audio.")  # no language model of llama.cpp has a tensor so named
OWN_NAMES = ("mllama", "qwen25vl", "gptoss", "deepseekocr", "glmocr", "glm4moelite", "nemotron_h_omni", "olmo3")
CURE = "Get this model from the Hub, where the files are llama.cpp's own: in Discover, or with “ollama pull hf.co/…”."


def packed(name: str, architecture: str, known: Collection[str], tensors: Collection[str]) -> str | None:
    """Two sentences on what keeps it from loading, None when nothing of this kind does. known: architectures."""
    if architecture in OWN_NAMES and architecture not in known:
        return f"{name} has the architecture {architecture!r}, which is Ollama's own name and form for it. {CURE}"
    num_encoding = sum(tensor.startswith(ENCODERS) for tensor in tensors)
    if not num_encoding:
        return None
    return (
        f"{name} holds an image or sound encoder beside its language model ({num_encoding:,} of {len(tensors):,} "
        f"tensors), as Ollama packs it, and llama.cpp reads each from a file of its own alone. {CURE}"
    )
