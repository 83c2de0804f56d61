"""Every color of the window, named by what it is for, once for light and once for dark. Knows no widget."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Hex colors. `text` on any surface, and every `…_text` on its `…`, read at 4.5:1 or better."""

    is_dark: bool
    canvas: str  # behind what is read: transcript, pages
    sidebar: str  # behind what is chosen from: rail, lists, live strip
    surface: str  # cards and fields
    hover: str
    line: str  # hairlines between areas
    border: str  # around fields and buttons
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    accent_soft: str
    accent_text: str
    bubble: str
    code: str
    selection: str
    selection_text: str
    info: str
    info_text: str
    warning: str
    warning_text: str
    error: str
    error_text: str
    success_text: str
    syntax_keyword: str
    syntax_string: str
    syntax_comment: str
    syntax_number: str
    syntax_name: str


LIGHT = Palette(
    is_dark=False,
    canvas="#ffffff",
    sidebar="#f4f6f7",
    surface="#ffffff",
    hover="#e8ecee",
    line="#e1e6e9",
    border="#c9d1d6",
    text="#14191d",
    muted="#55616a",
    accent="#0b6b61",
    accent_hover="#085a52",
    on_accent="#ffffff",
    accent_soft="#dcefec",
    accent_text="#07554d",
    bubble="#edf1f3",
    code="#f4f6f7",
    selection="#b7e0da",
    selection_text="#10201e",
    info="#e4eff8",
    info_text="#124a78",
    warning="#fbf0d9",
    warning_text="#6b4700",
    error="#fce8e6",
    error_text="#8c1d15",
    success_text="#17633a",
    syntax_keyword="#8b1f73",
    syntax_string="#17633a",
    syntax_comment="#5d6972",
    syntax_number="#8a4200",
    syntax_name="#1a56a0",
)

DARK = Palette(
    is_dark=True,
    canvas="#15191c",
    sidebar="#0f1214",
    surface="#1c2125",
    hover="#262c31",
    line="#262c31",
    border="#3a434a",
    text="#e8edef",
    muted="#9aa7af",
    accent="#4fd1bd",
    accent_hover="#6adccb",
    on_accent="#06231f",
    accent_soft="#15352f",
    accent_text="#83e6d6",
    bubble="#22282d",
    code="#0f1214",
    selection="#1f5c53",
    selection_text="#f2fbf9",
    info="#142a3d",
    info_text="#a3cff5",
    warning="#33270e",
    warning_text="#f1cd80",
    error="#3b1a17",
    error_text="#f6b3ad",
    success_text="#7fd6a3",
    syntax_keyword="#e79bd3",
    syntax_string="#8fd6a5",
    syntax_comment="#8d9aa3",
    syntax_number="#f0b57a",
    syntax_name="#8ec0f7",
)

SURFACES = ("canvas", "sidebar", "surface", "hover", "bubble", "code")
READ_TOGETHER = (
    *(("text", surface) for surface in SURFACES),
    *(("muted", surface) for surface in SURFACES),
    *(
        (f"syntax_{name}", surface)
        for name in ("keyword", "string", "comment", "number", "name")
        for surface in ("code", "canvas")
    ),
    ("on_accent", "accent"),
    ("on_accent", "accent_hover"),
    ("accent", "canvas"),
    ("accent", "sidebar"),
    ("accent_text", "accent_soft"),
    ("text", "accent_soft"),
    ("muted", "accent_soft"),
    ("selection_text", "selection"),
    ("info_text", "info"),
    ("warning_text", "warning"),
    ("error_text", "error"),
    ("error_text", "canvas"),
    ("warning_text", "canvas"),
    ("success_text", "canvas"),
    ("success_text", "sidebar"),
)


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
