"""The text that models are measured on is none that importance matrices are made from: that would flatter them."""

import re
from pathlib import Path

from app.lab.text import SHIPPED, SHIPPED_CHOICES
from backends.llama import quantization

CALIBRATION = Path(quantization.__file__).with_name("calibration.txt")
MIN_WORDS = 4  # "Yes, he said." stands in any book


def sentences(text: str) -> set[str]:
    """Without their signs and capitals, so that a comma does not hide a copy."""
    parts = (re.findall(r"\w+", part.casefold()) for part in re.split(r"[.!?:;\n]", text))
    return {" ".join(words) for words in parts if len(words) >= MIN_WORDS}


def test_no_sentence_stands_in_both_texts() -> None:
    measured, calibration = (sentences(path.read_text("utf-8")) for path in (SHIPPED, CALIBRATION))
    assert min(len(measured), len(calibration)) > 200
    assert measured & calibration == set()
    copied = SHIPPED.read_text("utf-8").split("\n")[2].upper()
    assert sentences(f"{copied} And some more.") & measured  # it would be seen


def test_no_multiple_choice_item_stands_in_the_texts() -> None:
    items = sentences(SHIPPED_CHOICES.read_text("utf-8"))
    assert len(items) > 500
    for path in (SHIPPED, CALIBRATION):
        assert items & sentences(path.read_text("utf-8")) == set()
