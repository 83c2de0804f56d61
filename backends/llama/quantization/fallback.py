"""What becomes of a tensor whose rows a type cannot hold, where llama.cpp itself does not look.

src/llama-quant.cpp lets all tensors fall back (`tensor_type_fallback`) but those that have a type of their own by
`token_embedding_type` or `output_tensor_type`: these end its process, or write blocks that are none. So they get a type
here that holds them, by its own rules.
"""

from dataclasses import dataclass, replace

from backends.formats import FormatError
from backends.formats.gguf_tables import TENSOR_TYPES
from backends.formats.quantizations import COPY
from backends.formats.recipe import Recipe
from backends.llama.quantization.source import Source

EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")
OUTPUT = "output.weight"
BLOCKS = {type_.name: type_ for type_ in TENSOR_TYPES.values()}
UNUSUAL = "F16"  # for rows that not even 32 divides
SMALLEST_BLOCK = 32
_INSTEAD = {
    "IQ4_NL": ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"),
    "Q4_0": ("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"),
    "Q5_0": ("Q4_K",),
    "Q5_1": ("Q5_K",),
    "Q8_0": ("Q6_K",),
}
INSTEAD = {type_: instead for instead, types in _INSTEAD.items() for type_ in types}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recipe whose types for single tensors hold their rows, and a sentence for each that had to give way."""

    recipe: Recipe
    sentences: tuple[str, ...] = ()


def fit(recipe: Recipe, source: Source) -> Fitted:
    """Raises FormatError where no type can stand in."""
    if recipe.type == COPY:
        return Fitted(recipe)
    embedding, said = _fit(recipe.embedding_type, _embeddings(recipe, source), source)
    output, also = _fit(recipe.output_type, [OUTPUT] if OUTPUT in source.tensors else [], source)
    return Fitted(replace(recipe, embedding_type=embedding, output_type=output), said + also)


def instead_of(type_: str, columns: int) -> str | None:
    """The type itself where rows of so many weights divide by its blocks; None: llama.cpp knows no other."""
    if columns % BLOCKS[type_].block_elements == 0:
        return type_
    if BLOCKS[type_].block_elements > SMALLEST_BLOCK:
        if type_ not in INSTEAD:
            return None
        type_ = INSTEAD[type_]
    return type_ if columns % BLOCKS[type_].block_elements == 0 else UNUSUAL


def gives_way(name: str, columns: int, type_: str, instead: str) -> str:
    block = BLOCKS[type_].block_elements
    return f"{name} becomes {instead}: its rows of {columns} do not divide by the {block} of {type_}."


def no_type_instead(what: str, type_: str) -> str:
    return (
        f"{what} has rows that do not divide by the {BLOCKS[type_].block_elements} weights of a block of {type_}, and "
        "llama.cpp knows no type to take instead. Choose another type."
    )


def _embeddings(recipe: Recipe, source: Source) -> list[str]:
    """Those that the recipe's type is for: the second one may have a rule of its own."""
    main, second = EMBEDDINGS
    has_rule = recipe.rule_for(second) is not None
    return [name for name in EMBEDDINGS if name in source.tensors and (name == main or not has_rule)]


def _fit(type_: str | None, names: list[str], source: Source) -> tuple[str | None, tuple[str, ...]]:
    if type_ is None:
        return None, ()
    found = {}
    for name in names:
        instead = instead_of(type_, source.tensors[name].shape[0])
        if instead is None:
            raise FormatError(no_type_instead(f"{name} of {source.path.name}", type_))
        found[name] = instead
    if len(set(found.values())) > 1:  # llama.cpp takes one type for both
        raise FormatError(
            f"{' and '.join(found)} cannot both be {type_}. Choose Q8_0 or another type with blocks of 32."
        )
    said = [gives_way(name, source.tensors[name].shape[0], type_, to) for name, to in found.items() if to != type_]
    return next(iter(found.values()), type_), tuple(said)
