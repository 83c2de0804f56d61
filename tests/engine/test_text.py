"""What may be shown of a stream of bytes."""

import random

from backends.engine.text import TextStream


def test_half_characters_are_held_back_until_they_are_whole() -> None:
    stream = TextStream()
    assert stream.push("é".encode()[:1]) == ""
    assert stream.push("é".encode()[1:] + b"!") == "é!"


def test_a_character_that_never_completes_is_shown_as_a_replacement() -> None:
    stream = TextStream()
    assert stream.push(b"a\xe2\x82") == "a"
    assert stream.finish() == "�"


def test_a_stop_string_split_over_pieces_is_never_shown() -> None:
    stream = TextStream(stop=("###",))
    shown = [stream.push(piece) for piece in (b"one #", b"#", b"# two")]
    assert shown == ["one ", "", ""]
    assert stream.stopped
    assert stream.finish() == ""


def test_text_that_only_began_like_a_stop_string_is_shown_later() -> None:
    stream = TextStream(stop=("END",))
    assert stream.push(b"the EN") == "the "
    assert stream.push(b"GINE") == "ENGIN"
    assert stream.finish() == "E"


def test_the_first_of_several_stop_strings_ends_the_text() -> None:
    stream = TextStream(stop=("two", "one"))
    assert stream.push(b"zero one two") == "zero "


def test_any_cut_of_the_bytes_gives_the_same_text() -> None:
    text = "naïve “quotes” 🙂 STOP after"
    for seed in range(200):
        pick = random.Random(seed)
        data, shown, stream = text.encode(), "", TextStream(stop=("STOP",))
        while data:
            length = pick.randint(1, 4)
            shown += stream.push(data[:length])
            data = data[length:]
        assert shown + stream.finish() == "naïve “quotes” 🙂 "
