"""How Markdown looks: the block and character formats of the window. Knows no document."""

from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextTableCellFormat,
    QTextTableFormat,
)

from ui.markdown.latex import target
from ui.palette import Palette
from ui.theme import MONO_FAMILIES, READING

HEADING_PIXELS = {1: 22, 2: 19, 3: 17}
CODE_PIXELS = 13
CODE_INSET = 16
CODE_HEAD = 40  # above the first line of code: room for the language and the copy button
CODE_TOP = CODE_HEAD + 4
CODE_FOOT = 12  # below the last line
IS_CODE = QTextFormat.Property.UserProperty + 1
IS_QUOTE = QTextFormat.Property.UserProperty + 2
IS_DONE = QTextFormat.Property.UserProperty + 3  # of a task in a list; others have no such property
IS_AFTER_TABLE = QTextFormat.Property.UserProperty + 4  # of the empty block that Qt puts there
LINE_HEIGHT = 148
CODE_LINE_HEIGHT = 140
PROPORTIONAL = QTextBlockFormat.LineHeightTypes.ProportionalHeight.value


class Formats:
    def __init__(self, colors: Palette):
        self._colors = colors

    def code_line(self, language: str, is_first: bool, is_last: bool = False) -> QTextBlockFormat:
        result = QTextBlockFormat()
        result.setProperty(IS_CODE, True)
        result.setProperty(QTextFormat.Property.BlockCodeLanguage, language)
        result.setLeftMargin(CODE_INSET)
        result.setRightMargin(CODE_INSET)
        result.setTopMargin(CODE_TOP if is_first else 0)
        result.setBottomMargin(24 if is_last else 0)
        result.setLineHeight(CODE_LINE_HEIGHT, PROPORTIONAL)
        return result

    def code(self) -> QTextCharFormat:
        result = QTextCharFormat()
        result.setFontFamilies(MONO_FAMILIES)
        result.setFontFixedPitch(True)
        result.setProperty(QTextFormat.Property.FontPixelSize, CODE_PIXELS)
        result.setForeground(QColor(self._colors.text))
        return result

    def block(self, parsed: QTextBlock, is_in_list: bool) -> QTextBlockFormat:
        """For a block as Qt's parser made it."""
        form = parsed.blockFormat()
        level = form.headingLevel()
        result = QTextBlockFormat()
        result.setHeadingLevel(level)
        result.setIndent(form.indent())
        result.setTopMargin(12 if level else 0)
        result.setBottomMargin(4 if is_in_list else 8 if level else 12)
        result.setLineHeight(LINE_HEIGHT, PROPORTIONAL)
        if form.marker() is not QTextBlockFormat.MarkerType.NoMarker:  # Qt would cross out what is done
            result.setProperty(IS_DONE, form.marker() is QTextBlockFormat.MarkerType.Checked)
            result.setIndent(form.indent() + parsed.textList().format().indent())
        if is_rule(parsed):
            key = QTextFormat.Property.BlockTrailingHorizontalRulerWidth
            result.setProperty(key, QTextLength(QTextLength.Type.PercentageLength, 100))
            result.setProperty(QTextFormat.Property.BackgroundBrush, QBrush(QColor(self._colors.border)))
        if quote := form.intProperty(QTextFormat.Property.BlockQuoteLevel):
            result.setProperty(IS_QUOTE, True)
            result.setLeftMargin(16 * quote)
        return result

    def text(self, parsed: QTextCharFormat | None = None, level: int = 0, is_head: bool = False) -> QTextCharFormat:
        """For a run of characters as Qt's parser made it; without one, for plain text."""
        parsed = parsed or QTextCharFormat()
        pixels = HEADING_PIXELS.get(level, READING)
        result = QTextCharFormat()
        result.setProperty(QTextFormat.Property.FontPixelSize, pixels)
        result.setForeground(QColor(self._colors.text))
        if level or is_head or parsed.fontWeight() > QFont.Weight.Medium:
            result.setFontWeight(QFont.Weight.DemiBold)
        result.setFontItalic(parsed.fontItalic())
        result.setFontStrikeOut(parsed.fontStrikeOut())
        if parsed.fontFixedPitch():
            result.setFontFamilies(MONO_FAMILIES)
            result.setFontFixedPitch(True)
            result.setProperty(QTextFormat.Property.FontPixelSize, pixels - 1)
            result.setBackground(QColor(self._colors.bubble))
        return self.link(target(parsed.anchorHref()), result) if parsed.isAnchor() else result

    def link(self, href: str, form: QTextCharFormat) -> QTextCharFormat:
        form.setAnchor(True)
        form.setAnchorHref(href)
        form.setForeground(QColor(self._colors.accent))
        form.setFontUnderline(True)
        return form

    def cell(self) -> QTextTableCellFormat:
        """Of the lines of a table itself Qt draws only some: each cell draws all of its own."""
        result = QTextTableCellFormat()
        result.setBorder(1)
        result.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        result.setBorderBrush(QColor(self._colors.border))
        return result

    def table(self, is_after_code: bool) -> QTextTableFormat:
        result = QTextTableFormat()
        result.setCellPadding(8)
        result.setCellSpacing(0)
        result.setBorderCollapse(True)
        result.setBorder(1)
        result.setBorderBrush(QColor(self._colors.border))
        result.setBottomMargin(12)
        result.setTopMargin(24 if is_after_code else 4)  # Qt drops the code's own margin before a table
        result.setHeaderRowCount(1)
        return result


def after_table() -> QTextBlockFormat:
    """Of the empty block that Qt puts there; the next one takes its place."""
    result = QTextBlockFormat()
    result.setProperty(IS_AFTER_TABLE, True)
    return result


def spacer() -> QTextBlockFormat:
    """Of an empty block that is not to be seen."""
    result = after_table()
    result.setLineHeight(1, QTextBlockFormat.LineHeightTypes.FixedHeight.value)
    return result


def is_rule(block: QTextBlock) -> bool:
    return block.blockFormat().hasProperty(QTextFormat.Property.BlockTrailingHorizontalRulerWidth)
