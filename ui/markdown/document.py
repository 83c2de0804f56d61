"""Shows Markdown in a QTextDocument, piece by piece: final blocks once, only the growing end again and again.

Qt parses (into a scratch document), this file copies block by block in the window's own formats: Qt's own
insertMarkdown runs paragraphs together where one call ends and the next begins. Pictures become links, so nothing
is ever fetched.
"""

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextImageFormat,
    QTextLength,
    QTextList,
    QTextTable,
    QTextTableCell,
    QTextTableFormat,
)

from ui.markdown.blocks import cut, hard_wrap, has_definitions
from ui.markdown.highlight import highlight
from ui.palette import Palette
from ui.theme import MONO_FAMILIES, READING

FEATURES = QTextDocument.MarkdownFeature.MarkdownNoHTML | QTextDocument.MarkdownFeature.MarkdownDialectGitHub
HEADING_PIXELS = {1: 22, 2: 19, 3: 17}
CODE_PIXELS = 13
CODE_INSET = 16
CODE_HEAD = 40  # above the first line of code: room for the language and the copy button
IS_CODE = QTextFormat.Property.UserProperty + 1
IS_QUOTE = QTextFormat.Property.UserProperty + 2
LINE_HEIGHT = 148
CODE_LINE_HEIGHT = 140


class MarkdownDocument:
    """Fills one QTextDocument. `stream` what has arrived so far, as often as you like; `finish` once."""

    def __init__(self, document: QTextDocument, colors: Palette):
        self._document = document
        self._colors = colors
        self._frozen = 0  # offset in the text
        self._tail = 0  # position in the document where the part that may change begins
        self._tail_format = QTextBlockFormat()  # of the block that this position lies in
        self._code_shown: int | None = None  # offset in the text up to which the open fence is shown
        self._clear()

    def recolor(self, colors: Palette, text: str) -> None:
        self._colors = colors
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

    def finish(self, text: str) -> None:
        """Show the whole text. Blocks that are final already stay as they are, and the reader's selection with them."""
        text = hard_wrap(text)
        if has_definitions(text) or not self._frozen:
            self._clear()
            self._render(text)
            return
        self._remove_tail()
        self._render(text[self._frozen :])

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
            self._start_block(self._cursor(), self._code_format(language, is_first=True))
            self._code_shown = start
        cursor = self._cursor()
        cursor.beginEditBlock()
        lines = text[self._code_shown :].split("\n")
        for index, line in enumerate(lines):
            if index:
                cursor.insertBlock(self._code_format(language, is_first=False))
            cursor.insertText(line, self._code_char_format())
        self._code_shown = len(text)
        cursor.endEditBlock()

    def _render(self, markdown: str) -> None:
        scratch = QTextDocument()
        scratch.setMarkdown("\n" + markdown, FEATURES)  # a first line of --- would open front matter
        cursor = self._cursor()
        cursor.beginEditBlock()
        _Copy(self, cursor, self._colors).document(scratch)
        cursor.endEditBlock()

    def _start_block(self, cursor: QTextCursor, block_format: QTextBlockFormat) -> None:
        """The empty block that a document or a table ends with is used up first."""
        block = cursor.block()
        is_spare = block.length() == 1 and not block.textList() and not _is_rule(block)
        if is_spare and not block.blockFormat().hasProperty(IS_CODE):
            cursor.setBlockFormat(block_format)
        else:
            cursor.insertBlock(block_format)

    def _code_format(self, language: str, is_first: bool, is_last: bool = False) -> QTextBlockFormat:
        result = QTextBlockFormat()
        result.setProperty(IS_CODE, True)
        result.setProperty(QTextFormat.Property.BlockCodeLanguage, language)
        result.setLeftMargin(CODE_INSET)
        result.setRightMargin(CODE_INSET)
        result.setTopMargin(CODE_HEAD + 4 if is_first else 0)
        result.setBottomMargin(24 if is_last else 0)
        result.setLineHeight(CODE_LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        return result

    def _code_char_format(self) -> QTextCharFormat:
        result = QTextCharFormat()
        result.setFontFamilies(MONO_FAMILIES)
        result.setFontFixedPitch(True)
        result.setProperty(QTextFormat.Property.FontPixelSize, CODE_PIXELS)
        result.setForeground(QColor(self._colors.text))
        return result


class _Copy:
    """Copies one parsed document to the end of ours."""

    def __init__(self, target: MarkdownDocument, cursor: QTextCursor, colors: Palette):
        self._target = target
        self._cursor = cursor
        self._colors = colors
        self._lists: dict[int, QTextList] = {}
        self._table: int | None = None

    def document(self, scratch: QTextDocument) -> None:
        block = scratch.begin()
        while block.isValid():
            block = self._block(block)

    def _block(self, block: QTextBlock) -> QTextBlock:
        """Copy one block, or the table or the code that begins with it; returns the one after."""
        if table := _table(block):
            return self._copy_table(table)
        if _is_code(block):
            return self._copy_code(block)
        if block.length() > 1 or block.textList() or _is_rule(block):
            self._copy_text(block)
        return block.next()

    def _copy_text(self, block: QTextBlock) -> None:
        form = self._block_format(block)
        if self._cursor.block().textList() and block.textList() is None:
            form.setTopMargin(8)  # a list's last item stands as close as the others
        self._target._start_block(self._cursor, form)
        self._cursor.setBlockCharFormat(self._char_format(QTextCharFormat(), 0))  # an item's mark takes this color
        self._join_list(block)
        level = block.blockFormat().headingLevel()
        for fragment in _fragments(block):
            self._insert(fragment, level)

    def _join_list(self, block: QTextBlock) -> None:
        parsed = _list(block)
        if parsed is None:
            return
        key = parsed.objectIndex()
        if key in self._lists:
            self._lists[key].add(self._cursor.block())
        else:
            self._lists[key] = self._cursor.createList(parsed.format())

    def _block_format(self, block: QTextBlock) -> QTextBlockFormat:
        parsed = block.blockFormat()
        result = QTextBlockFormat()
        level = parsed.headingLevel()
        result.setHeadingLevel(level)
        result.setIndent(parsed.indent())
        result.setTopMargin(12 if level else 0)
        result.setBottomMargin(4 if block.textList() else 8 if level else 12)
        result.setLineHeight(LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        result.setMarker(parsed.marker())
        if _is_rule(block):
            key = QTextFormat.Property.BlockTrailingHorizontalRulerWidth
            result.setProperty(key, QTextLength(QTextLength.Type.PercentageLength, 100))
            result.setProperty(QTextFormat.Property.BackgroundBrush, QBrush(QColor(self._colors.border)))
        if quote := parsed.intProperty(QTextFormat.Property.BlockQuoteLevel):
            result.setProperty(IS_QUOTE, True)
            result.setLeftMargin(16 * quote)
        return result

    def _insert(self, fragment: QTextFragment, level: int, is_head: bool = False) -> None:
        parsed = fragment.charFormat()
        if parsed.isImageFormat():
            self._insert_picture(parsed.toImageFormat(), fragment.length())
            return
        form = self._char_format(parsed, level)
        if is_head:
            form.setFontWeight(QFont.Weight.DemiBold)
        self._cursor.insertText(fragment.text(), form)

    def _insert_picture(self, image: QTextImageFormat, count: int) -> None:
        alt = image.stringProperty(QTextFormat.Property.ImageAltText) or image.name()
        form = self._char_format(QTextCharFormat(), 0)
        _make_link(form, image.name(), self._colors)
        self._cursor.insertText(f"[picture: {alt}]" * count, form)

    def _char_format(self, parsed: QTextCharFormat, level: int) -> QTextCharFormat:
        result = QTextCharFormat()
        result.setProperty(QTextFormat.Property.FontPixelSize, HEADING_PIXELS.get(level, READING))
        result.setForeground(QColor(self._colors.text))
        if level or parsed.fontWeight() > QFont.Weight.Medium:
            result.setFontWeight(QFont.Weight.DemiBold)
        result.setFontItalic(parsed.fontItalic())
        result.setFontStrikeOut(parsed.fontStrikeOut())
        if parsed.fontFixedPitch():
            result.setFontFamilies(MONO_FAMILIES)
            result.setFontFixedPitch(True)
            result.setProperty(QTextFormat.Property.FontPixelSize, HEADING_PIXELS.get(level, READING) - 1)
            result.setBackground(QColor(self._colors.bubble))
        if parsed.isAnchor():
            _make_link(result, parsed.anchorHref(), self._colors)
        return result

    def _copy_code(self, block: QTextBlock) -> QTextBlock:
        language = block.blockFormat().stringProperty(QTextFormat.Property.BlockCodeLanguage)
        lines = []
        while block.isValid() and _is_code(block):
            lines.append(block.text())
            block = block.next()
        target = self._target
        plain = target._code_char_format()
        starts = []
        for index, line in enumerate(lines):
            form = target._code_format(language, index == 0, index == len(lines) - 1)
            if index:
                self._cursor.insertBlock(form)
            else:
                target._start_block(self._cursor, form)
            starts.append(self._cursor.position())
            self._cursor.insertText(line, plain)
        self._color_code("\n".join(lines), language, starts[0])
        return block

    def _color_code(self, code: str, language: str, start: int) -> None:
        """Positions in the document run as in the code: a block's end counts one, like its line feed."""
        cursor = QTextCursor(self._cursor)
        form = QTextCharFormat()
        for span in highlight(code, language, self._colors):
            cursor.setPosition(start + span.start)
            cursor.setPosition(start + span.start + span.length, QTextCursor.MoveMode.KeepAnchor)
            form.setForeground(QColor(span.color))
            cursor.mergeCharFormat(form)

    def _copy_table(self, table: QTextTable) -> QTextBlock:
        form = QTextTableFormat()
        form.setCellPadding(8)
        form.setCellSpacing(0)
        form.setBorderCollapse(True)
        form.setBorder(1)
        form.setBorderBrush(QColor(self._colors.border))
        form.setBottomMargin(12)
        form.setTopMargin(4)
        form.setHeaderRowCount(1)
        ours = self._cursor.insertTable(table.rows(), table.columns(), form)
        for row in range(table.rows()):
            for column in range(table.columns()):
                cell = _Copy(self._target, ours.cellAt(row, column).firstCursorPosition(), self._colors)
                cell._fill(table.cellAt(row, column), is_head=row == 0)
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        self._cursor.setBlockFormat(QTextBlockFormat())
        return table.lastCursorPosition().block().next()

    def _fill(self, cell: QTextTableCell, is_head: bool) -> None:
        """Qt's parser sometimes begins the first cell with an empty block."""
        block = cell.firstCursorPosition().block()
        last = cell.lastCursorPosition().block()
        while block.length() == 1 and block != last:
            block = block.next()
        form = QTextBlockFormat()
        form.setAlignment(block.blockFormat().alignment() & Qt.AlignmentFlag.AlignHorizontal_Mask)
        self._cursor.setBlockFormat(form)
        for fragment in _fragments(block):
            self._insert(fragment, 0, is_head)


def _make_link(form: QTextCharFormat, href: str, colors: Palette) -> None:
    form.setAnchor(True)
    form.setAnchorHref(href)
    form.setForeground(QColor(colors.accent))
    form.setFontUnderline(True)


# the stubs of PySide do not say that these may be None
def _table(block: QTextBlock) -> QTextTable | None:
    return QTextCursor(block).currentTable()


def _list(block: QTextBlock) -> QTextList | None:
    return block.textList()


def _is_code(block: QTextBlock) -> bool:
    form = block.blockFormat()
    return form.nonBreakableLines() or form.hasProperty(QTextFormat.Property.BlockCodeFence)


def _is_rule(block: QTextBlock) -> bool:
    return block.blockFormat().hasProperty(QTextFormat.Property.BlockTrailingHorizontalRulerWidth)


def _fragments(block: QTextBlock) -> list[QTextFragment]:
    iterator, result = block.begin(), []
    while not iterator.atEnd():
        result.append(iterator.fragment())
        iterator += 1
    return result


def show_plain(document: QTextDocument, text: str, colors: Palette) -> None:
    """What a person wrote: no Markdown, every line break kept."""
    document.clear()
    document.setDocumentMargin(0)
    cursor = QTextCursor(document)
    block_format = QTextBlockFormat()
    block_format.setLineHeight(LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    cursor.setBlockFormat(block_format)
    form = QTextCharFormat()
    form.setProperty(QTextFormat.Property.FontPixelSize, READING)
    form.setForeground(QColor(colors.text))
    cursor.insertText(hard_wrap(text), form)
