"""Log probabilities go with the text of their tokens, and nothing is told of what a stop string cuts off."""

from backends.engine.logprobs import Logprobs
from backends.engine.text import TextStream
from backends.protocol import TokenLogprob


def _told(pieces: list[bytes], *stop: str) -> tuple[list[str], list[list[bytes]]]:
    """The text after each token, and the tokens told with it; last what the end brings."""
    text, logprobs = TextStream(stop), Logprobs()
    texts, told = [], []
    for piece in pieces:
        begin = text.num_heard
        texts.append(text.push(piece))
        logprobs.add(TokenLogprob(piece, -1.0), begin, text.num_heard)
        told.append([logprob.piece for logprob in logprobs.take(text)])
        if text.stopped:
            return texts, told
    texts.append(text.finish())
    told.append([logprob.piece for logprob in logprobs.take_rest()])
    return texts, told


def test_they_wait_for_text_that_may_become_a_stop_string() -> None:
    assert _told([b"a", b"\n", b"B", b"c"], "\nBye") == (
        ["a", "", "", "\nBc", ""],
        [[b"a"], [], [], [b"\n", b"B", b"c"], []],
    )


def test_a_stop_string_of_several_tokens_takes_all_of_them_along() -> None:
    texts, told = _told([b"Paris", b".", b"\n\n", b"Assistant", b":"], "\n\nAssistant:")
    assert "".join(texts) == "Paris."
    assert [piece for pieces in told for piece in pieces] == [b"Paris", b"."]


def test_a_token_that_is_cut_in_two_is_told() -> None:
    assert _told([b"yes", b"!\n\nNo"], "\n\n") == (["yes", "!"], [[b"yes"], [b"!\n\nNo"]])


def test_halves_of_a_character_wait_for_each_other() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert _told([b"a", first, second]) == (["a", "", "é", ""], [[b"a"], [], [first, second], []])
    texts, told = _told([b"a", first, second], "é")
    assert ("".join(texts), told) == ("a", [[b"a"], [], []])


def test_the_end_brings_what_was_held_back() -> None:
    assert _told([b"a", b"\n"], "\n\n") == (["a", "", "\n"], [[b"a"], [], [b"\n"]])
