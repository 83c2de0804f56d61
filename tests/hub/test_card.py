"""A card is text: what would be fetched or run is gone, what is code stays as it is."""

import pytest

from app.hub.card import MAX_CHARS, readable

CARD = b"""---
license: mit
tags: [a]
---
<!-- hidden <img src="http://evil/1.png"> -->
# Title <img src="http://evil/2.png">
<div align="center">Centered <b>words</b></div>
![picture](http://evil/3.png) [![badge](http://evil/4.svg)](http://site) ![ref][r]
<script>evil()</script><style>p {}</style><iframe src="http://evil/5"></iframe>
[a link](https://site/page) <https://auto.link> 1 < 2
```html
<img src="kept.png"> ![kept](as code)
```
~~~
<b>also kept</b>
~~~
after <i>it</i>
"""


def test_nothing_remote_is_left_and_words_and_links_are() -> None:
    text = readable(CARD)
    outside = text.replace('<img src="kept.png"> ![kept](as code)', "")
    assert "evil" not in text
    assert "![" not in outside
    assert "<img" not in outside
    assert text.startswith("# Title")
    assert all(
        words in text for words in ("Centered words", "[a link](https://site/page)", "https://auto.link", "1 < 2")
    )
    assert "after it" in text


def test_code_stays_as_it_is() -> None:
    text = readable(CARD)
    assert '<img src="kept.png"> ![kept](as code)' in text
    assert "<b>also kept</b>" in text


def test_a_card_without_front_matter_keeps_its_rules() -> None:
    assert readable(b"Hello\n\n---\n\nWorld") == "Hello\n\n---\n\nWorld"


def test_references_become_links_of_their_own() -> None:
    text = readable(
        b"See [the paper][1], [code][] and ![shot][1].\n\n[1]: https://paper 'title'\n[code]: <https://code>\n"
    )
    assert text == "See [the paper](https://paper), [code](https://code) and ."


def test_a_tag_that_is_cut_in_two_does_not_come_together() -> None:
    assert "<img" not in readable(b"<im<b>g src='http://evil/x.png'>")
    assert "![" not in readable(b"!![x](y)[a](http://evil/z.png)")
    assert "<img" not in readable(b"<i<b" * 9 + b"<img src='http://evil/x.png'>" + b">" * 9)


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert readable(b"\xff\xfe\0a") == "\ufffd\ufffda"


def test_a_long_card_is_cut_between_paragraphs_and_says_so() -> None:
    text = readable(b"word " * 50 + b"\n\n" + b"\n\n".join([b"paragraph " * 20] * 2000))
    assert len(text) < MAX_CHARS + 100
    assert text.endswith("its page has the rest.*")


@pytest.mark.parametrize(
    "piece", ["<", "![", "[](", "<!--", "<script", "<a ", "---\n", "```\n", "![a](", "[[", "![]()"]
)
def test_hostile_markup_is_read_to_its_end(piece: str) -> None:
    """What is quadratic takes hours here."""
    assert len(readable(piece.encode() * (400_000 // len(piece)))) <= MAX_CHARS + 100


def test_what_reorders_or_commands_is_gone() -> None:
    assert readable("a\x1b[31mb\u202ec\x07\td\r\ne".encode()) == "a[31mbc\td\ne"
