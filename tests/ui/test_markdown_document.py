"""Streaming shows the same as rendering at once, and less is done for it."""

import time

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QTextCursor, QTextDocument, QTextFormat
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from ui.markdown.blocks import MAX_RUN
from ui.markdown.document import MarkdownDocument
from ui.markdown.formats import IS_CODE
from ui.markdown.view import MarkdownView
from ui.palette import DARK, LIGHT

LONG = """# Title

Some **bold**, `code`, [a link](https://example.org) and <b>no html</b>.
A second line.

- one
- two

  still two

1. first
2. second
   ```python
   x = 1
   ```
3. third

> quoted
> twice

```python
def f():

    return 1  # one
```

| a | b |
|---|---|
| 1 | 2 |

---

- [ ] open
- [x] done

## End
"""
SAMPLES = (
    LONG,
    "---\nnot front matter\n\nend",
    "```\nopen\n\n",
    "```py\nx = 1\n```\n\nend",
    "| x |\n|---|\n| 1 |\n\n```py\nx = 1\n```\n",
    "a\n\n| x |\n|---|\n| 1 |\n\n| y |\n|---|\n| 2 |\n",
    "",
)

pytestmark = pytest.mark.usefixtures("qapp")


def whole(text: str) -> QTextDocument:
    document = QTextDocument()
    MarkdownDocument(document, LIGHT).finish(text)
    return document


def streamed(text: str, step: int) -> QTextDocument:
    document = QTextDocument()
    markdown = MarkdownDocument(document, LIGHT)
    for end in range(0, len(text), step):
        markdown.stream(text[:end])
    markdown.finish(text)
    return document


@pytest.mark.parametrize("step", [1, 3, 17])
@pytest.mark.parametrize("text", SAMPLES)
def test_streaming_ends_as_rendering_at_once(text: str, step: int) -> None:
    assert streamed(text, step).toHtml() == whole(text).toHtml()


def test_other_colors_reach_every_block() -> None:
    document = QTextDocument()
    markdown = MarkdownDocument(document, LIGHT)
    markdown.stream(LONG)
    markdown.finish(LONG)
    markdown.recolor(DARK, LONG)
    dark = QTextDocument()
    MarkdownDocument(dark, DARK).finish(LONG)
    assert document.toHtml() == dark.toHtml()


def test_a_first_rule_does_not_open_front_matter() -> None:
    assert "words" in whole("---\nwords\n\n---\n\nmore").toPlainText()


def test_html_is_shown_not_obeyed() -> None:
    document = whole('<img src="http://evil.example/x.png"> <b>x</b>')
    assert "<img" in document.toPlainText()


def test_a_picture_becomes_a_link() -> None:
    html = whole("![cat](http://evil.example/cat.png)").toHtml()
    assert "<img" not in html
    assert "[picture: cat]" in html


def test_closed_code_is_colored_and_open_code_is_not() -> None:
    def colors(text: str) -> set[str]:
        document = QTextDocument()
        MarkdownDocument(document, DARK).stream(text)
        found = set()
        block = document.begin()
        while block.isValid():
            found |= {span.format.foreground().color().name() for span in block.textFormats()}
            block = block.next()
        return found

    assert colors("```python\nreturn 1\n") == {DARK.text}
    assert DARK.syntax_keyword in colors("```python\nreturn 1\n```\n")


def test_an_open_fence_is_code_from_its_first_line() -> None:
    document = QTextDocument()
    markdown = MarkdownDocument(document, LIGHT)
    markdown.stream("look\n\n```rust\nfn main")
    last = document.lastBlock()
    assert last.blockFormat().hasProperty(IS_CODE)
    assert last.blockFormat().property(QTextFormat.Property.BlockCodeLanguage) == "rust"
    assert document.toPlainText() == "look\nfn main"


def test_a_selection_in_a_final_block_outlives_the_stream() -> None:
    document = QTextDocument()
    markdown = MarkdownDocument(document, LIGHT)
    text = "keep these words\n\nnext\n\nmore"
    markdown.stream(text[:26])
    cursor = QTextCursor(document)
    cursor.setPosition(5)
    cursor.setPosition(10, QTextCursor.MoveMode.KeepAnchor)
    for end in range(26, len(text)):
        markdown.stream(text[:end])
    markdown.finish(text)
    assert cursor.selectedText() == "these"


def test_an_unbroken_line_of_100_000_characters_does_not_stall() -> None:
    start = time.thread_time()
    document = whole("x" * 100_000)
    document.setTextWidth(700)
    document.size()
    assert time.thread_time() - start < 5
    assert max(map(len, document.toPlainText().split())) == MAX_RUN


def test_a_long_answer_costs_no_more_per_token_than_a_short_one(qapp: QApplication) -> None:  # noqa: ARG001
    paragraph = "Some words of a paragraph that is not too long. " * 6 + "\n\n"
    document = QTextDocument()
    markdown = MarkdownDocument(document, LIGHT)
    costs = []
    text = ""
    for _ in range(60):
        text += paragraph
        start = time.thread_time()
        markdown.stream(text)
        costs.append(time.thread_time() - start)
    early, late = sorted(costs[5:15])[5], sorted(costs[-10:])[5]
    assert late < 5 * early + 0.005


def test_every_cell_of_a_table_has_its_four_lines(qtbot: QtBot) -> None:
    holder, view = QMainWindow(), MarkdownView(LIGHT, "A message")
    holder.setCentralWidget(view)
    qtbot.addWidget(holder)
    view.resize(400, 200)
    view.finish("| head | b |\n|---|---|\n| c | d |")
    image, layout = view.grab().toImage(), view.document().documentLayout()
    first = layout.blockBoundingRect(view.document().find("head").block())
    across = [image.pixelColor(x, int(first.center().y())) for x in range(image.width())]
    down = [image.pixelColor(int(first.left()) - 3, y) for y in range(image.height())]
    assert [num_lines(pixels) for pixels in (across, down)] == [3, 3]


def num_lines(pixels: list[QColor]) -> int:
    is_line = [pixel == QColor(LIGHT.border) for pixel in pixels]
    return sum(here and not before for before, here in zip([False, *is_line], is_line, strict=False))


@pytest.mark.parametrize("before", ["", "words\n\n", "| x |\n|---|\n| 1 |\n\n", "# Head\n\n", "- item\n\n"])
@pytest.mark.parametrize("after", ["", "\n\nwords", "\n\n| x |\n|---|\n| 1 |\n"])
def test_code_has_its_panel_wherever_it_stands(qtbot: QtBot, before: str, after: str) -> None:
    view = MarkdownView(LIGHT, "A message")
    qtbot.addWidget(view)
    view.show()
    view.resize(400, 200)
    view.finish(f"{before}```python\nx = 1\n```{after}")
    (panel,) = view.panels()
    assert panel.rect.top() >= 0
    assert panel.rect.bottom() <= view.height()
    layout = view.document().documentLayout()
    blocks = [view.document().findBlockByNumber(number) for number in range(view.document().blockCount())]
    others = [layout.blockBoundingRect(block) for block in blocks if block.text() not in ("", "x = 1")]
    assert not [rect for rect in others if rect.bottom() > panel.rect.top() and rect.top() < panel.rect.bottom()]


def test_a_streamed_code_has_its_panel_too(qtbot: QtBot) -> None:
    view = MarkdownView(LIGHT, "A message")
    qtbot.addWidget(view)
    view.show()
    view.stream("```python\nx = 1")
    qtbot.waitUntil(lambda: bool(view.panels()))
    assert view.panels()[0].rect.top() == 0


def test_a_done_task_has_a_tick_and_an_open_one_an_empty_box(qtbot: QtBot) -> None:
    holder, view = QMainWindow(), MarkdownView(LIGHT, "A message")
    holder.setCentralWidget(view)
    qtbot.addWidget(holder)
    view.resize(400, 200)
    holder.show()
    view.finish("- [x] done\n- [ ] open\n  - [x] within\n- no task\n")
    done, still_open, within = view._tasks
    assert [done.is_done, still_open.is_done, within.is_done] == [True, False, True]
    assert within.rect.left() > done.rect.left()
    image = view.grab().toImage()
    colors = [image.pixelColor(box.rect.topLeft().toPoint() + QPoint(3, 4)) for box in (done, still_open)]
    assert colors[0] == QColor(LIGHT.accent)
    assert colors[1] != QColor(LIGHT.accent)
