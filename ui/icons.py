"""Line icons on a 24-pixel grid, drawn in any color. Knows no widget."""

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

PATHS = {
    "chat": "M21 11.5a8 8 0 0 1-11.7 7.1L4 20l1.4-4.8A8 8 0 1 1 21 11.5z",
    "models": "M12 3l8.5 4.5v9L12 21l-8.5-4.5v-9zM3.8 7.7L12 12l8.2-4.3M12 12v8.8",
    "discover": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM15.5 8.5l-2 5-5 2 2-5z",
    "lab": "M4 20V4M4 20h16M9 15.5v.01M12.5 10.5v.01M17 7.5v.01M17 13.5v.01",
    "server": "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
    "performance": "M4.5 19a9 9 0 1 1 15 0M12 15l4-5.5M12 15v.01",
    "settings": "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5",
    "plus": "M12 5v14M5 12h14",
    "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
    "send": "M12 19V5M6 11l6-6 6 6",
    "stop": "M8 8h8v8H8z",
    "copy": "M9 9h11v11H9zM15 9V4H4v11h5",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "retry": "M20 12a8 8 0 1 1-2.6-5.9M20 4v4.5h-4.5",
    "down": "M12 5v14M6 13l6 6 6-6",
    "download": "M12 4v11M7 10.5l5 5 5-5M4 20h16",
    "chevron": "M6 9l6 6 6-6",
    "trash": "M5 7h14M10 11v6M14 11v6M7 7l1 13h8l1-13M9.5 7V4h5v3",
    "pencil": "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    "close": "M6 6l12 12M18 6L6 18",
    "warning": "M12 4l9 16H3zM12 10v4.5M12 17.3v.01",
    "info": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8v.01",
    "power": "M12 3v8M6.5 7a8 8 0 1 0 11 0",
    "guide": "M3 15c4 0 5-6 9-6s5 6 9 6M3 9.5c3 0 4-2.5 6-4M21 20c-3 0-5-1-7-3",
}
TEMPLATE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="{fill}" stroke="{color}" stroke-width="1.8" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="{path}"/></svg>'
)
FILLED = {"stop"}
SCALES = (1, 2, 3)


@lru_cache(maxsize=256)
def icon(name: str, color: str, size: int = 20) -> QIcon:
    result = QIcon()
    picture = TEMPLATE.format(color=color, path=PATHS[name], fill=color if name in FILLED else "none")
    renderer = QSvgRenderer(QByteArray(picture.encode()))
    for scale in SCALES:
        pixmap = QPixmap(QSize(size, size) * scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size * scale, size * scale))
        painter.end()
        pixmap.setDevicePixelRatio(scale)
        result.addPixmap(pixmap)
        result.addPixmap(pixmap, QIcon.Mode.Disabled)
    return result
