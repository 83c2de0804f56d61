"""Foreign text where Qt would read more into it than letters."""

from PySide6 import QtGui


def unmarked(text: str) -> str:
    """For buttons and menus, which underline what follows an ampersand."""
    return text.replace("&", "&&")


def plain_tip(text: str) -> str:
    """For tooltips, which take for HTML what begins like it."""
    return QtGui.Qt.convertFromPlainText(text) if QtGui.Qt.mightBeRichText(text) else text
