"""Shows Markdown in a QTextDocument, piece by piece: final blocks once, only the growing end again and again."""

from PySide6.QtGui import QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument

from ui.markdown.blocks import cut, hard_wrap, has_definitions
from ui.markdown.copier import Copier, start_block
from ui.markdown.formats import CODE_FOOT, CODE_HEAD, IS_CODE, LINE_HEIGHT, PROPORTIONAL, Formats
from ui.markdown.latex import hide
from ui.palette import Palette

FEATURES = QTextDocument.MarkdownFeature.MarkdownNoHTML | QTextDocument.MarkdownFeature.MarkdownDialectGitHub


class MarkdownDocument:
    """Fills one QTextDocument. `stream` what has arrived so far, as often as you like; `finish` once."""

    def __init__(self, document: QTextDocument, colors: Palette):
        self._document = document
        self._colors = colors
        self._formats = Formats(colors)
        self._frozen = 0  # offset in the text
        self._tail = 0  # position in the document where the part that may change begins
        self._tail_format = QTextBlockFormat()  # of the block that this position lies in
        self._code_shown: int | None = None  # offset in the text up to which the open fence is shown
        self._clear()

    def recolor(self, colors: Palette, text: str) -> None:
        self._colors = colors
        self._formats = Formats(colors)
        self._clear()
        self.finish(text)

    def stream(self, text: str) -> None:
        """`text` starts with every text given before."""
        text = hard_wrap(text)
        where = cut(text, self._frozen)
        if where.frozen > self._frozen:
            self._remove_tail()
            self._render(text[self._frozen : where.frozen])
            self._frozen, self._tail = where.frozen, self._end()
            self._tail_format = self._cursor().blockFormat()
        if where.fence:
            self._stream_code(text, where.fence.start, where.fence.language)
        elif text[self._frozen :].strip():
            self._remove_tail()
            self._render(text[self._frozen :])
        self._make_room()

    def finish(self, text: str) -> None:
        """Show the whole text. Blocks that are final already stay as they are, and the reader's selection with them."""
        text = hard_wrap(text)
        if has_definitions(text) or not self._frozen:
            self._clear()
            self._render(text)
        else:
            self._remove_tail()
            self._render(text[self._frozen :])
        self._make_room()

    def _make_room(self) -> None:
        """Qt drops the top margin of the first block, and the bottom margin of the last: where they are those of a
        panel of code, the document gets them."""
        root = self._document.rootFrame()
        form = root.frameFormat()
        is_first, is_last = (
            block.blockFormat().hasProperty(IS_CODE) for block in (self._document.begin(), self._document.lastBlock())
        )
        margins = (CODE_HEAD if is_first else 0, CODE_FOOT if is_last else 0)
        if (form.topMargin(), form.bottomMargin()) != margins:
            form.setTopMargin(margins[0])
            form.setBottomMargin(margins[1])
            root.setFrameFormat(form)

    def _clear(self) -> None:
        self._document.clear()
        self._document.setDocumentMargin(0)
        self._frozen = self._tail = 0
        self._tail_format = QTextBlockFormat()
        self._code_shown = None

    def _end(self) -> int:
        return self._document.characterCount() - 1

    def _cursor(self) -> QTextCursor:
        cursor = QTextCursor(self._document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        return cursor

    def _remove_tail(self) -> None:
        self._code_shown = None
        if self._end() <= self._tail:
            return
        cursor = QTextCursor(self._document)
        cursor.setPosition(self._tail)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        # an empty block takes the format of what was removed after it
        cursor.setBlockFormat(self._tail_format)
        if not self._tail:
            cursor.setBlockCharFormat(QTextCharFormat())

    def _stream_code(self, text: str, start: int, language: str) -> None:
        """An open fence is appended to as plain text: parsing it again for every token would be quadratic."""
        if self._code_shown is None:
            before = text[self._frozen : start]
            self._remove_tail()
            if before.count("\n") > 1:  # a fence inside a list: its item comes first
                self._render(before[: before.rstrip("\n").rfind("\n") + 1])
            start_block(self._cursor(), self._formats.code_line(language, is_first=True))
            self._code_shown = start
        cursor = self._cursor()
        cursor.beginEditBlock()
        lines = text[self._code_shown :].split("\n")
        for index, line in enumerate(lines):
            if index:
                cursor.insertBlock(self._formats.code_line(language, is_first=False))
            cursor.insertText(line, self._formats.code())
        self._code_shown = len(text)
        cursor.endEditBlock()

    def _render(self, markdown: str) -> None:
        scratch = QTextDocument()
        scratch.setMarkdown("\n" + hide(markdown), FEATURES)  # a first line of --- would open front matter
        cursor = self._cursor()
        cursor.beginEditBlock()
        Copier(cursor, self._colors).copy(scratch)
        cursor.endEditBlock()


def show_plain(document: QTextDocument, text: str, colors: Palette) -> None:
    """What a person wrote: no Markdown, every line break kept."""
    document.clear()
    document.setDocumentMargin(0)
    form = QTextBlockFormat()
    form.setLineHeight(LINE_HEIGHT, PROPORTIONAL)
    cursor = QTextCursor(document)
    cursor.setBlockFormat(form)
    cursor.insertText(hard_wrap(text), Formats(colors).text())
