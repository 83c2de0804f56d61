"""Every pair of colors that is read together can be read."""

import pytest

from ui.palette import DARK, LIGHT, READ_TOGETHER, Palette, contrast
from ui.theme import Theme, qt_palette


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), READ_TOGETHER)
def test_text_stands_out_from_its_ground(colors: Palette, text: str, ground: str) -> None:
    assert contrast(getattr(colors, text), getattr(colors, ground)) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_choice_reaches_the_application(theme: Theme) -> None:
    for choice, colors in (("dark", DARK), ("light", LIGHT), ("system", LIGHT)):
        theme.choose(choice)
        assert theme.palette == colors
        assert theme.parent().palette().window().color().name() == colors.canvas  # type: ignore[union-attr]
    theme.choose("light")


def test_qt_palette_uses_only_named_colors() -> None:
    named = {getattr(DARK, name) for name in Palette.__slots__}
    palette = qt_palette(DARK)
    assert palette.window().color().name() in named
    assert palette.text().color().name() in named


def test_the_same_choice_once_more_styles_nothing(theme: Theme) -> None:
    """All widgets would be painted anew, those of a window that is just being closed as well."""
    told: list[object] = []
    theme.changed.connect(told.append)
    theme.choose("light")
    assert not told
