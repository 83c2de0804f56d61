"""Formulas stay as the model wrote them, and nothing else does."""

import pytest
from PySide6.QtGui import QTextDocument, QTextFormat

from tests.ui.test_markdown_document import streamed, whole
from ui.markdown.latex import LINE, hide, show

pytestmark = pytest.mark.usefixtures("qapp")


def text_of(markdown: str) -> str:
    return whole(markdown).toRawText().replace(LINE, "\n").replace("\u2029", "\n")


@pytest.mark.parametrize(
    "written",
    [
        r"so \( a_1 * b_2 * c \) is",
        "\\[\n  x = \\frac{a}{b} \\\\[4pt]\n+ y\n= z\n\\]",
        r"$$ a*b*c $$ and $x_1 * y$ and $z * 2$",
        r"it goes on: \( a",
        r"closed: \) and \]",
    ],
)
def test_a_formula_stays_as_it_was_written(written: str) -> None:
    assert text_of(written) == written


def test_a_formula_is_no_mark_of_its_paragraph() -> None:
    assert text_of(r"# On \(x\) **and** \(y_1\)") == r"On \(x\) and \(y_1\)"
    assert text_of("- \\(a\\)\n- b\n") == "\\(a\\)\nb"
    assert whole("| \\(a\\) | b |\n|---|---|\n| 1 | 2 |").toPlainText().split("\n")[1:3] == [r"\(a\)", "b"]


@pytest.mark.parametrize("code", ["`\\(`", "    \\(x\\)", "```\n\\(x\\)\n```", "> ```\n> \\(x\\)\n> ```"])
def test_code_keeps_every_character(code: str) -> None:
    document = whole(f"{code}\n\nand *then* \\)")
    assert r"\(" in document.toPlainText()
    assert r"\\" not in document.toPlainText()
    assert document.toPlainText().endswith(r"and then \)")


def test_prices_are_no_formula() -> None:
    assert text_of("costs $5 and *not* $6, or *about* $7") == "costs $5 and not $6, or about $7"


def test_other_escapes_are_markdowns() -> None:
    assert text_of(r"\*no star\*") == "*no star*"


def test_a_link_loses_the_backslashes_of_its_parentheses() -> None:
    document = whole(r"[Set](https://example.org/Set_\(theory\))")
    link = next(form for form in document.allFormats() if form.isCharFormat() and form.toCharFormat().isAnchor())
    assert link.property(QTextFormat.Property.AnchorHref) == "https://example.org/Set_(theory)"


def test_a_formula_that_streams_in_ends_as_rendering_at_once() -> None:
    text = "First \\(a_1 * b\\).\n\n\\[\nx * y * z\n\\]\n\nand `\\(` too\n"
    assert streamed(text, 1).toHtml() == whole(text).toHtml()


@pytest.mark.parametrize("piece", ["\\(", "\\[", "$", "`", "```\n", "$a ", "\\(`"])
def test_what_is_never_closed_is_looked_through_once(piece: str) -> None:
    text = piece * 50_000
    assert show(hide(text)) == text


def test_nothing_hidden_stays_hidden() -> None:
    document = QTextDocument()
    document.setPlainText(show(hide(r"![\(a\)](x) [\[b\]](y) \(c\)")))
    assert document.toPlainText() == r"![\(a\)](x) [\[b\]](y) \(c\)"
