"""Copies a document that Qt has parsed to the end of ours, block by block, in the window's formats.

Qt's own insertMarkdown runs paragraphs together where one call ends and the next begins. Pictures become links, so
nothing is ever fetched.
"""

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QColor,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextImageFormat,
    QTextList,
    QTextTable,
    QTextTableCell,
)

from ui.markdown.formats import IS_AFTER_TABLE, IS_CODE, IS_DONE, Formats, after_table, is_rule, spacer
from ui.markdown.highlight import highlight
from ui.markdown.latex import LINE, show, target
from ui.palette import Palette

AFTER_LIST = 8  # pixels; a list's last item stands as close as the others


class Copier:
    def __init__(self, cursor: QTextCursor, colors: Palette):
        self._cursor = cursor
        self._colors = colors
        self._formats = Formats(colors)
        self._lists: dict[int, QTextList] = {}

    def copy(self, parsed: QTextDocument) -> None:
        block = parsed.begin()
        while block.isValid():
            block = self._block(block)

    def _block(self, block: QTextBlock) -> QTextBlock:
        """Copy one block, or the table or the code that begins with it; returns the one after."""
        if table := _table(block):
            return self._copy_table(table)
        if _is_code(block):
            return self._copy_code(block)
        if block.length() > 1 or block.textList() or is_rule(block):
            self._copy_text(block)
        return block.next()

    def _copy_text(self, block: QTextBlock) -> None:
        is_in_list = block.textList() is not None
        form = self._formats.block(block, is_in_list)
        if _is_item(self._cursor.block()) and not is_in_list:
            form.setTopMargin(AFTER_LIST)
        start_block(self._cursor, form)
        self._cursor.setBlockCharFormat(self._formats.text())  # an item's mark takes this color
        if not form.hasProperty(IS_DONE):
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

    def _insert(self, fragment: QTextFragment, level: int = 0, is_head: bool = False) -> None:
        parsed = fragment.charFormat()
        if parsed.isImageFormat():
            self._insert_picture(parsed.toImageFormat(), fragment.length())
        else:
            self._cursor.insertText(show(fragment.text()), self._formats.text(parsed, level, is_head))

    def _insert_picture(self, image: QTextImageFormat, count: int) -> None:
        alt = image.stringProperty(QTextFormat.Property.ImageAltText) or image.name()
        form = self._formats.link(target(image.name()), self._formats.text())
        self._cursor.insertText(f"[picture: {show(alt)}]" * count, form)

    def _copy_code(self, block: QTextBlock) -> QTextBlock:
        language = block.blockFormat().stringProperty(QTextFormat.Property.BlockCodeLanguage)
        lines = []
        while block.isValid() and _is_code(block):
            lines += show(block.text()).split(LINE)
            block = block.next()
        start_block(self._cursor, self._formats.code_line(language, True, len(lines) == 1))
        start = self._cursor.position()
        self._cursor.insertText(lines[0], self._formats.code())
        for number, line in enumerate(lines[1:], 2):
            self._cursor.insertBlock(self._formats.code_line(language, False, number == len(lines)))
            self._cursor.insertText(line, self._formats.code())
        self._color_code("\n".join(lines), language, start)
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
        is_after_code = self._cursor.block().blockFormat().hasProperty(IS_CODE)
        form = self._formats.table(is_after_code)
        ours = self._cursor.insertTable(table.rows(), table.columns(), form)
        for row in range(table.rows()):
            for column in range(table.columns()):
                ours.cellAt(row, column).setFormat(self._formats.cell())
                cell = Copier(ours.cellAt(row, column).firstCursorPosition(), self._colors)
                cell._fill(table.cellAt(row, column), is_head=row == 0)
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        self._cursor.setBlockFormat(after_table())
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
            self._insert(fragment, is_head=is_head)


def start_block(cursor: QTextCursor, form: QTextBlockFormat) -> None:
    """Begin a block; the empty one that a document or a table ends with is used up first."""
    block = cursor.block()
    is_spare = block.length() == 1 and not _is_item(block) and not is_rule(block)
    if is_spare and form.hasProperty(IS_CODE) and block.blockFormat().hasProperty(IS_AFTER_TABLE):
        cursor.setBlockFormat(spacer())  # Qt drops the margin of what follows a table: code would lie on it
        cursor.insertBlock(form)
    elif is_spare and not block.blockFormat().hasProperty(IS_CODE):
        cursor.setBlockFormat(form)
    else:
        cursor.insertBlock(form)


# the stubs of PySide do not say that these may be None
def _table(block: QTextBlock) -> QTextTable | None:
    return QTextCursor(block).currentTable()


def _is_item(block: QTextBlock) -> bool:
    return block.textList() is not None or block.blockFormat().hasProperty(IS_DONE)


def _list(block: QTextBlock) -> QTextList | None:
    return block.textList()


def _is_code(block: QTextBlock) -> bool:
    form = block.blockFormat()
    return form.nonBreakableLines() or form.hasProperty(QTextFormat.Property.BlockCodeFence)


def _fragments(block: QTextBlock) -> list[QTextFragment]:
    iterator, result = block.begin(), []
    while not iterator.atEnd():
        result.append(iterator.fragment())
        iterator += 1
    return result
