import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.text_search import Excerpt, excerpt, fold, marks


@pytest.mark.parametrize(
    ("text", "sought", "found"),
    [
        ("Groß und groß", "GROSS", ["Groß", "groß"]),
        ("straße ﬁn", "FIN", ["ﬁn"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("İstanbul ist", "IST", ["ist"]),
        ("a\0b", "a b", ["a\0b"]),
        ("nothing", "zzz", []),
    ],
)
def test_what_differs_in_case_alone_is_found_where_it_stands(text: str, sought: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in marks(text, fold(sought))] == found


@settings(max_examples=30)
@given(some.text(max_size=40), some.text(min_size=1, max_size=3))
def test_every_mark_holds_what_was_sought(text: str, sought: str) -> None:
    needle = fold(sought)
    for start, end in marks(text, needle):
        assert needle in fold(text[start:end])


def test_an_excerpt_is_one_line_cut_at_words() -> None:
    text = "one two\n\nthree four five six seven eight nine  ten " + "and on " * 30
    assert excerpt("short\ttext", "text") == Excerpt("short ", "text", "")
    found = excerpt(text, "ten")
    assert found is not None
    assert (found.before, found.found) == ("…five six seven eight nine ", "ten")
    assert found.after.startswith(" and on and")
    assert found.after.endswith("…")
    assert "\n" not in found.before + found.after
    assert excerpt(text, "zzz") is None
