"""The texts that end an answer. Control tokens are never shown, and yet a text may name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STAND_INS = 0xD800  # half a pair each: no bytes decode to one
NUM_STAND_INS = 0x800


@dataclass(frozen=True, slots=True)
class Stops:
    """texts: what is looked for. tokens: control tokens that are a stop string each. stand_ins: of the other control
    tokens that stop strings name, the character that stands for each in `texts`, and must in the answer."""

    texts: tuple[str, ...] = ()
    tokens: frozenset[int] = frozenset()
    stand_ins: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str], controls: Mapping[str, int]) -> "Stops":
        """controls: the token of each control token's text that stands in the stop strings, the longest first."""
        texts = tuple(text for text in texts if text)
        tokens = frozenset(controls[text] for text in texts if text in controls)
        inside = [text for text in controls if any(text in stop and text != stop for stop in texts)]
        signs = {text: chr(STAND_INS + i) for i, text in enumerate(inside[:NUM_STAND_INS])}
        # a model may write the marker out in letters, too
        named = [_with_signs(text, signs) for text in texts if text not in controls]
        return cls(tuple(dict.fromkeys((*texts, *named))), tokens, {controls[text]: signs[text] for text in signs})


NO_STOPS = Stops()


def _with_signs(text: str, signs: Mapping[str, str]) -> str:
    for control, sign in signs.items():
        text = text.replace(control, sign)
    return text
