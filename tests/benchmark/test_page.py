"""The words follow the figures: planted ones come out as sentences, and no number is there that was not measured."""

import re
from dataclasses import replace

import pytest

from app.bench.figures import Answering, Comparison, Drafts, Figures, Footprint, Memory, Quantized
from app.bench.page import page
from backends.protocol import Cells
from tests.benchmark.figures import SUBJECT, compared, figures, sample


def test_a_whole_page_says_what_was_measured() -> None:
    told = page(figures())
    for words in (
        "# Tiny on this machine",
        "30 November 2026 at 09:58",
        "Tiny-Q4_K_M.gguf: 98 MB, Q4_K_M, 135 million parameters",
        "The machine was quiet: other programs used at most 0.0 of 2 cores.",
        "From the start of the engine to the first token of an answer it takes 1.22 s (1.21 to 1.23).",
        "A prompt of 509 tokens is read at 315 tokens/s (310 to 320), so the answer begins after 1.67 s (1.65 to",
        "it begins after 0.05 s (0.05 to 0.05): 33 times as soon, for the prompt cache still holds it.",
        "One answer is written at 92.0 tokens/s (91.0 to 93.0), without drafts; 95 of 100 tokens come within 12.5 ms. "
        "That is 45% of what the memory allows.",
        "Behind a prompt of 512 tokens it is written at 81.0 tokens/s (80.0 to 82.0); 95 of 100 tokens come within "
        "13.6 ms. That is 45% of what the memory allows.",
        "The memory that holds the model gives 20.0 GB per second",
        "Eight answers side by side, each behind 1,024 tokens, are written at 212 tokens/s (210 to 214) in all, 26.5",
        "they came out 1% apart. Differences up to that are none.",
        "Four answers side by side are written at 184 tokens/s (182 to 186) in all, 46.0 each. Beside one alone that "
        "is 2.0 times as much (two equal runs differed by 2% at most).",
        "After a first short answer the engine holds 210 MB. Its KV cache has place for 512 tokens now and may grow to "
        "8,192.",
        "After prompts of up to 4,096 tokens it holds 420 MB: 210 MB more. Its KV cache has place for 8,192 tokens, "
        "which is all that it may have.",
        "**A KV cache that grows** (on as you have it). After the first answer, it takes 900 MB less (200 MB for",
        "**A KV cache of q8_0** instead of f16. Behind a prompt of some 2,048 tokens, it takes 30 MB less",
        "at 1.2% of the words of a text (± 0.2%) another one would have come first; the KL divergence is 0.00090 "
        "± 0.00010 nats",
        "**Drafts by look-up, in a quotation**: 50% quicker (two equal runs differed by 1% at most). 60 of 80 draft "
        "tokens accepted.",
        "| One answer, tokens/s | 92.0 | 91.0 | 91.0 | 93.0 | 2 | 2% |",
        "| First token behind 512 tokens, s | 1.67 | 1.70 | 1.65 | 1.70 | 2 | 3% |",
    ):
        assert words in told
    assert "not whole" not in told
    assert "could not be measured" not in told


def _drafted(speed: Comparison, drafted: int = 80, **changes: object) -> Figures:
    return figures(drafts=(Drafts("look-up", "a chat", speed, drafted, drafted // 2),), **changes)


def test_a_difference_within_the_noise_is_called_none() -> None:
    told = page(_drafted(compared((90, 95), (93, 97))))
    assert "in a chat**: no difference that this machine can show: two equal runs differed by 6%." in told
    assert "quicker" not in told.partition("**Drafts")[2].partition("\n")[0]


def test_what_is_slower_is_called_slower() -> None:
    assert "in a chat**: 25% slower (two equal runs differed by 1% at most)." in page(
        _drafted(compared((100, 101), (75, 75.75)))
    )


def test_beside_other_programs_nothing_is_sure() -> None:
    told = page(_drafted(compared((100, 101), (150, 151)), others=(0.1, 1.4)))
    assert "**The machine was busy.** Other programs used up to 1.4 of 2 cores meanwhile." in told
    assert "it looked 50% quicker, but other programs were at work: measure again before you believe it." in told
    assert "at most)" not in told, "nothing is told as sure"


def test_a_machine_that_does_not_say_how_busy_it_is_is_told() -> None:
    assert "How busy the machine was, it did not say." in page(figures(others=()))


def test_what_was_measured_once_tells_no_difference() -> None:
    told = page(_drafted(compared((100,), (150,))))
    assert "measured only once, which tells no difference." in told
    assert page(figures(starts=sample(1.5))).count("1.50 s (one run)") == 1


def test_drafts_that_were_never_made_are_told() -> None:
    assert "Nothing was drafted" in page(_drafted(compared((100, 101), (100, 101)), drafted=0))


def test_a_page_that_was_stopped_tells_what_there_is() -> None:
    told = page(Figures(SUBJECT))
    assert "**This page is not whole**" in told
    assert "##" not in told, "no heading without a figure"
    begun = page(Figures(SUBJECT, answers=(Answering(0, sample(10.5, 10.6), 99.0),)))
    assert "One answer is written at 10.6 tokens/s" in begun
    assert "allows" not in begun, "of a limit that nobody knows nothing is told"
    assert "## Memory" not in begun


def test_what_could_not_be_measured_is_told_with_its_reason() -> None:
    told = page(figures(left_out=("An engine with another KV cache: <the file> is too odd.",)))
    assert "## What could not be measured\n\n- An engine with another KV cache: \\<the file\\> is too odd." in told


def test_the_persons_own_choice_is_the_one_that_is_told_as_theirs() -> None:
    quantized = figures().quantized
    assert quantized is not None
    assert quantized.option is not None
    theirs = replace(quantized, option=replace(quantized.option, is_own=True))
    assert "**A KV cache of q8_0** instead of f16 (as you have it)." in page(figures(quantized=theirs))
    assert "was not measured" in page(figures(quantized=Quantized("q8_0", None)))


def test_a_gpus_memory_is_told() -> None:
    footprint = Footprint(300_000_000, 2_500_000_000, Cells(8, 512, 512))
    told = page(figures(memory=Memory(footprint, footprint, 512)))
    assert "300 MB of memory; 2.5 GB of the GPU's are in use by all programs together" in told
    assert "it holds 300 MB of memory; 2.5 GB of the GPU's are in use by all programs together: no more." in told


def test_every_number_comes_from_a_figure() -> None:
    """Other figures, other words: no sentence has a number of its own."""
    twice = {
        "readings": tuple(replace(r, speed=sample(777, 778)) for r in figures().readings),
        "answers": (Answering(0, sample(555, 556), 1.8),),
        "starts": sample(44.4, 44.5),
    }
    one, other = page(figures()), page(figures(**twice))
    for old, new in (("315 tokens/s", "778 tokens/s"), ("92.0 tokens/s", "556 tokens/s"), ("1.22 s", "44.5 s")):
        assert old in one
        assert old not in other
        assert new in other


@pytest.mark.parametrize("name", ["*bold* [link](http://x)", "a|b", "<script>", "line\nbreak\x1b[2J"])
def test_a_name_is_shown_and_obeyed_nowhere(name: str) -> None:
    told = page(figures(subject=replace(SUBJECT, name=name, file=name)))
    assert not re.search(r"(?<!\\)[*\[<|]", told.splitlines()[0].removeprefix("# "))
    assert "\x1b" not in told
