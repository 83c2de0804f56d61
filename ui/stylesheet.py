"""The style sheet, written from a palette. Widgets say what they are by `kind`; distances are multiples of four."""

from pathlib import Path
from string import Template

from ui.palette import Palette

SHEET = Template("""
QWidget { font-size: 13px; }
QMainWindow, QWidget[kind="page"] { background: $canvas; }
QWidget[kind="sidebar"] { background: $sidebar; }
QWidget[kind="rail-area"] { background: $sidebar; border-right: 1px solid $line; }
QWidget[kind="strip"] { background: $sidebar; border-top: 1px solid $line; }
QFrame[kind="rule"] { background: $line; border: none; }
QFrame[kind="card"] { background: $surface; border: 1px solid $line; border-radius: 12px; }
QFrame[kind="note"] { background: $surface; border: 1px solid $border; border-radius: 10px; }
QFrame[kind="bubble"] { background: $bubble; border: none; border-radius: 16px; }
QFrame[kind="composer"] { background: $surface; border: 1px solid $border; border-radius: 16px; }
QFrame[kind="composer"][focused="true"] { border-color: $accent; }
QFrame[kind="composer"][enabledLook="false"] { background: $sidebar; border-color: $line; }

QLabel { background: transparent; }
QLabel[kind="title"] { font-size: 24px; font-weight: 600; }
QLabel[kind="section"] { font-size: 16px; font-weight: 600; }
QLabel[kind="strong"] { font-weight: 600; }
QLabel[kind="muted"] { color: $muted; }
QLabel[kind="caption"] { color: $muted; font-size: 12px; }
QLabel[kind="value"] { font-weight: 600; font-size: 13px; }
QLabel[kind="problem"] { color: $error_text; }
QLabel[kind="failed"] {
  background: $error; color: $error_text; border-radius: 6px; padding: 2px 8px; font-size: 12px; font-weight: 600;
}
QLabel[kind="good"] { color: $success_text; font-weight: 600; }
QLabel[kind="badge"] {
  background: $accent; color: $on_accent; border-radius: 8px; font-size: 11px; font-weight: 600;
}
QLabel[kind="lead"] { font-size: 15px; color: $muted; }

QPushButton {
  background: $surface; color: $text; border: 1px solid $border; border-radius: 8px; padding: 0 12px; min-height: 30px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $line; }
QPushButton:focus, QToolButton:focus { border: 2px solid $accent; }
QPushButton:focus { padding: 0 11px; min-height: 28px; }
QPushButton:disabled { color: $muted; background: $sidebar; border-color: $line; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled { background: $hover; color: $muted; border-color: $hover; }
QPushButton[kind="danger"] { color: $error_text; border-color: $error_text; }
QPushButton[kind="quiet"] { background: transparent; border: 1px solid transparent; color: $muted; }
QPushButton[kind="quiet"]:hover { background: $hover; color: $text; }
QPushButton[kind="quiet"]:focus { border: 2px solid $accent; }
QPushButton[kind="small"] {
  background: transparent; border: 1px solid transparent; border-radius: 6px; color: $muted; font-size: 12px;
  min-height: 22px; padding: 0 8px;
}
QPushButton[kind="small"]:hover { background: $hover; color: $text; }
QPushButton[kind="small"]:focus { border: 1px solid $accent; }
QPushButton[kind="link"] {
  background: transparent; border: none; border-radius: 2px; color: $muted; font-size: 12px;
  min-height: 22px; padding: 0;
}
QPushButton[kind="link"]:hover { color: $accent_text; text-decoration: underline; }
QPushButton[kind="link"]:focus { border: none; color: $accent_text; text-decoration: underline; padding: 0; }
QPushButton[kind="step"] {
  background: transparent; border: 1px solid transparent; border-radius: 6px; color: $muted; font-size: 15px;
  min-height: 20px; padding: 0 6px;
}
QPushButton[kind="step"]:hover { background: $hover; color: $text; }
QPushButton[kind="step"]:focus { border: 1px solid $accent; padding: 0 6px; min-height: 20px; }
QPushButton[kind="step"]:disabled { color: $border; background: transparent; border-color: transparent; }
QPushButton[kind="chip"] {
  background: $surface; border: 1px solid $border; border-radius: 17px; padding: 0 16px; min-height: 32px; color: $text;
}
QPushButton[kind="chip"]:hover { background: $accent_soft; border-color: $accent; color: $accent_text; }
QPushButton[kind="chip"]:focus { border: 2px solid $accent; padding: 0 15px; min-height: 30px; }
QPushButton[kind="choice"] {
  background: transparent; border: 1px solid $border; border-radius: 14px; padding: 0 12px; min-height: 26px;
  color: $muted;
}
QPushButton[kind="choice"]:hover { background: $hover; color: $text; }
QPushButton[kind="choice"]:checked { background: $accent_soft; border-color: $accent; color: $accent_text; }
QPushButton[kind="choice"]:focus { border: 2px solid $accent; padding: 0 11px; min-height: 24px; }
QPushButton[kind="tab"] {
  background: transparent; border: none; border-bottom: 2px solid transparent; border-radius: 0; padding: 0 4px;
  min-height: 30px; color: $muted; font-weight: 600; font-size: 14px;
}
QPushButton[kind="tab"]:hover { color: $text; }
QPushButton[kind="tab"]:checked { color: $text; border-bottom: 2px solid $accent; }
QPushButton[kind="tab"]:focus {
  color: $accent_text; background: $accent_soft; border: none; border-bottom: 2px solid transparent;
  border-top-left-radius: 6px; border-top-right-radius: 6px; padding: 0 4px; min-height: 30px;
}
QPushButton[kind="tab"]:checked:focus { border-bottom: 2px solid $accent; }
QPushButton[kind="picker"] {
  background: transparent; border: 1px solid transparent; font-weight: 600; font-size: 15px; padding: 0 8px;
  text-align: left;
}
QPushButton[kind="picker"]:hover { background: $hover; }
QPushButton[kind="picker"]:focus { border: 2px solid $accent; }
QPushButton::menu-indicator { image: none; width: 0; }
QPushButton[kind="banner"] {
  background: transparent; border: 1px solid transparent; font-weight: 600; min-height: 26px; padding: 0 8px;
}

QToolButton { background: transparent; border: 2px solid transparent; border-radius: 8px; padding: 0; color: $muted; }
QToolButton:hover { background: $hover; color: $text; }
QToolButton[kind="rail"] { font-size: 12px; border-radius: 10px; }
QToolButton[kind="rail"]:checked { background: $accent_soft; color: $accent_text; font-weight: 600; }
QToolButton[kind="send"] { background: $accent; border-radius: 10px; }
QToolButton[kind="send"]:hover { background: $accent_hover; }
QToolButton[kind="send"]:focus { border: 2px solid $text; }
QToolButton[kind="send"]:disabled { background: $hover; }
QToolButton[kind="stop"] { background: $text; border-radius: 10px; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit[kind="field"] {
  background: $surface; color: $text; border: 1px solid $border; border-radius: 8px; padding: 0 8px; min-height: 30px;
  selection-background-color: $selection; selection-color: $selection_text;
}
QPlainTextEdit[kind="field"] { padding: 4px; }
QPlainTextEdit[isMessage="true"] { font-size: 15px; }
QLineEdit:focus,
QSpinBox:focus,
QDoubleSpinBox:focus,
QComboBox:focus,
QPlainTextEdit[kind="field"]:focus {
  border-color: $accent;
}
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled { color: $muted; background: $sidebar; }
QLineEdit[kind="search"] { background: $canvas; }
QLineEdit[kind="bare"] { border: none; background: transparent; padding: 0; }
QSpinBox::up-button,
QSpinBox::down-button,
QDoubleSpinBox::up-button,
QDoubleSpinBox::down-button {
  background: transparent; border: none; width: 20px;
}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url("$images/chevron-up.svg"); width: 10px; height: 10px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {
  image: url("$images/chevron-down.svg"); width: 10px; height: 10px;
}
QComboBox::drop-down { border: none; width: 28px; }
QComboBox::down-arrow { image: url("$images/chevron-down.svg"); width: 12px; height: 12px; }
QComboBox QAbstractItemView {
  background: $surface; border: 1px solid $border; border-radius: 8px; padding: 4px; outline: none;
  selection-background-color: $accent_soft; selection-color: $accent_text;
}
QCheckBox { spacing: 8px; min-height: 24px; }
QCheckBox::indicator {
  width: 16px; height: 16px; border: 1px solid $border; border-radius: 4px; background: $surface;
}
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url("$images/check-$tone.svg"); }
QCheckBox:focus { color: $accent; }

QPlainTextEdit[kind="bare"], QTextBrowser[kind="bare"] {
  background: transparent; border: none; selection-background-color: $selection; selection-color: $selection_text;
}
QPlainTextEdit[kind="bare"] { font-size: 15px; }
QPlainTextEdit[kind="code"] {
  background: $code; border: 1px solid $line; border-radius: 8px; padding: 8px;
  selection-background-color: $selection; selection-color: $selection_text;
}

QListView,
QTableView,
QScrollArea,
QScrollArea > QWidget > QWidget[kind="transparent"] {
  background: transparent; border: none; outline: none;
}
QHeaderView { background: transparent; }
QHeaderView::section {
  background: transparent; color: $muted; border: none; border-bottom: 1px solid $line; padding: 4px 14px 4px 8px;
}
QTableView { selection-background-color: $accent_soft; selection-color: $accent_text; }
QTableView[kind="short"] QHeaderView::section { padding: 4px 17px 4px 11px; }
QTableView::item { padding: 0 14px 0 8px; }
QProgressBar { background: $line; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QSlider { min-height: 24px; }
QSlider::groove:horizontal { background: $line; border-radius: 2px; height: 4px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; height: 4px; }
QSlider::handle:horizontal {
  background: $accent; border: 2px solid $surface; border-radius: 9px; width: 14px; height: 14px; margin: -7px 0;
}
QSlider::handle:horizontal:focus { border-color: $text; }
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled { background: $border; }

QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar::handle:vertical { background: $border; border-radius: 4px; min-height: 32px; margin: 2px; }
QScrollBar[idle="true"]::handle:vertical { background: transparent; }
QScrollBar::handle:vertical:hover { background: $muted; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle:horizontal { background: $border; border-radius: 4px; min-width: 32px; margin: 2px; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: none; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QMenu { background: $surface; border: 1px solid $border; border-radius: 8px; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 6px; }
QMenu::item:selected { background: $accent_soft; color: $accent_text; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }
QToolTip { background: $text; color: $canvas; border: none; padding: 4px 8px; }
QSplitter::handle { background: $line; }

QFrame[kind="banner-info"] { background: $info; border: 1px solid $border; border-radius: 10px; }
QFrame[kind="banner-info"] QLabel, QFrame[kind="banner-info"] QPushButton { color: $info_text; }
QFrame[kind="banner-warning"] { background: $warning; border: 1px solid $border; border-radius: 10px; }
QFrame[kind="banner-warning"] QLabel, QFrame[kind="banner-warning"] QPushButton { color: $warning_text; }
QFrame[kind="banner-error"] { background: $error; border: 1px solid $border; border-radius: 10px; }
QFrame[kind="banner-error"] QLabel, QFrame[kind="banner-error"] QPushButton { color: $error_text; }
QFrame[kind^="banner"] QPushButton {
  background: transparent; border: 1px solid transparent; font-weight: 600; min-height: 26px; padding: 0 8px;
}
QFrame[kind="banner-info"] QPushButton:hover,
QFrame[kind="banner-info"] QPushButton:focus {
  border-color: $info_text;
}
QFrame[kind="banner-warning"] QPushButton:hover,
QFrame[kind="banner-warning"] QPushButton:focus {
  border-color: $warning_text;
}
QFrame[kind="banner-error"] QPushButton:hover,
QFrame[kind="banner-error"] QPushButton:focus {
  border-color: $error_text;
}
""")


def stylesheet(colors: Palette, images: Path) -> str:
    roles = {name: getattr(colors, name) for name in Palette.__slots__}
    tone = "dark" if colors.is_dark else "light"
    return SHEET.substitute(roles, images=images.as_posix(), tone=tone)
