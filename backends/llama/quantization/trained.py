"""Tensors that were trained as they are stored: another type would only lose. They stay, unless a rule names them."""

import re
from dataclasses import replace

from backends.formats.gguf_tables import UNQUANTIZED
from backends.formats.quantizations import COPY
from backends.formats.recipe import Recipe
from backends.llama.quantization.source import Source

MXFP4, ARCHITECTURE = "MXFP4", "gpt-oss"
EXPERTS = re.compile(r"blk\.\d+\.ffn_(gate|up|down)_exps\.weight")


def keep_trained(source: Source, recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with a rule for each of them, and what is to be said of that. Rules count for quantized types only."""
    if source.headers[0].architecture != ARCHITECTURE or recipe.type in (*UNQUANTIZED, COPY):
        return recipe, ()
    named = [re.compile(pattern) for pattern, _ in recipe.overrides]
    kept = tuple(
        name
        for name, tensor in source.tensors.items()
        if tensor.type == MXFP4 and EXPERTS.fullmatch(name) and not any(pattern.search(name) for pattern in named)
    )
    if not kept:
        return recipe, ()
    rules = tuple((f"^{re.escape(name)}$", MXFP4) for name in kept)
    note = f"{len(kept)} tensors stay in MXFP4, in which the model was trained: {recipe.type} holds for the others."
    return replace(recipe, overrides=(*recipe.overrides, *rules)), (note,)
