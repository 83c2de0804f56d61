"""What may be shown of a stream of bytes."""

import random

from backends.engine.stops import Stops
from backends.engine.text import TextStream
from tests.work import calls_of


def test_half_characters_are_held_back_until_they_are_whole() -> None:
    stream = TextStream()
    assert stream.push("é".encode()[:1]) == ""
    assert stream.push("é".encode()[1:] + b"!") == "é!"


def test_of_a_character_that_never_completes_nothing_is_shown() -> None:
    for character in ("é", "€", "🙂"):
        for length in range(1, len(character.encode())):
            stream = TextStream()
            assert stream.push(b"a" + character.encode()[:length]) == "a"
            assert stream.finish() == ""


def test_bytes_that_begin_no_character_are_shown_as_replacements() -> None:
    stream = TextStream()
    assert stream.push(b"a\xff\xe2\x82b\xe2") == "a��b"
    assert stream.finish() == ""


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


def test_a_control_token_is_matched_by_its_sign_and_never_shown() -> None:
    stops = Stops.of(("the end<|eot|>\n", "<|eos|>"), {"<|eot|>": 7, "<|eos|>": 8})
    assert stops.tokens == {8}, "a token of its own"
    stream = TextStream(stops.texts, stops.stand_ins.values())
    sign = stops.stand_ins[7]
    shown = [stream.push(b"a", sign), stream.push(b"b the"), stream.push(b" end"), stream.push(b"", sign)]
    assert "".join(shown) == "ab "
    assert not stream.stopped
    stream.push(b"\nmore")
    assert stream.stopped
    assert stream.finish() == ""


def test_a_stop_string_that_names_a_control_token_is_met_in_letters_too() -> None:
    for text in ("<|eot|>", "x<|eot|>y"):
        stops = Stops.of((text,), {"<|eot|>": 7})
        stream = TextStream(stops.texts, stops.stand_ins.values())
        assert stream.push(b"a" + text.encode() + b"b") == "a"
        assert stream.stopped


def test_many_long_stop_strings_cost_little_for_each_piece() -> None:
    def num_calls(num_pieces: int) -> int:
        stream = TextStream(("a" * 1000 + "b", *(chr(0x100 + each) * 1000 for each in range(16))))
        return calls_of(lambda: [stream.push(b"a") for _ in range(num_pieces)])

    assert num_calls(900) < 2.5 * num_calls(450)


def test_stop_strings_that_repeat_themselves_are_found_wherever_they_are_cut() -> None:
    for seed in range(300):
        pick = random.Random(seed)
        stops = tuple("".join(pick.choices("ab", k=pick.randint(1, 6))) for _ in range(3))
        text = "".join(pick.choices("ab", k=30))
        stream, shown, rest = TextStream(stops), "", text
        while rest and not stream.stopped:
            size = pick.randint(1, 3)
            shown, rest = shown + stream.push(rest[:size].encode()), rest[size:]
            heard = text[: len(text) - len(rest)]
            ends = [at for stop in stops if (at := heard.find(stop)) >= 0]
            begun = [size for stop in stops for size in range(len(stop)) if heard.endswith(stop[:size])]
            assert shown == (heard[: min(ends)] if ends else heard[: len(heard) - max(begun)])
