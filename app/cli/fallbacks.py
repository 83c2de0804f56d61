"""What a quantization's fall-backs come to, for a person: a line per kind of tensor instead of one for each."""

import re
from collections import defaultdict
from collections.abc import Sequence

FORM = re.compile(r"(\S+) becomes (\S+): its (rows of .*)$")  # as backends.llama.quantization.fallback says it
LAYER = re.compile(r"^blk\.\d+\..*")


def folded(fallbacks: Sequence[str]) -> list[str]:
    """Sentences, the total last. fallbacks: one for each tensor; of another form they stay as they are."""
    kinds: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for sentence in fallbacks:
        found = FORM.match(sentence)
        kinds[(LAYER.sub("blk.*", found[1]), found[2], found[3]) if found else (sentence,)].append(sentence)
    lines = [_line(kind, sentences) for kind, sentences in kinds.items()]
    return [*lines, f"In all {len(fallbacks):,} tensors fall back to another type."] if len(lines) > 1 else lines


def _line(kind: tuple[str, ...], sentences: Sequence[str]) -> str:
    if len(sentences) == 1:
        return sentences[0]
    place, instead, why = kind
    return f"{len(sentences):,} tensors of {place} become {instead}: their {why}"
