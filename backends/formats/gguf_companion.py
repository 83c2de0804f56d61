"""Sound GGUF files that are no model by themselves: what each is, and what it is for."""

COMPANIONS = {  # by general.type or architecture
    "adapter": "a LoRA adapter. Load the model that it was made for, with this file as its adapter (--lora).",
    "mmproj": "the image part (mmproj) of one. Load the model that it belongs to; Slipstream reads text only.",
    "imatrix": "an importance matrix, made for quantizing one. Load the model; this file is for --imatrix.",
    "clip": "the image part (mmproj) of one. Load the model that it belongs to; Slipstream reads text only.",
    "controlvector": "a control vector for one, which Slipstream does not use. Load the model that it was made for.",
}


def companion(kind: object, architecture: str) -> str | None:
    """The rest of a sentence, None for a model. kind: general.type, whatever the file has there."""
    return next((COMPANIONS[key] for key in (kind, architecture) if isinstance(key, str) and key in COMPANIONS), None)
