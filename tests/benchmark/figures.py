"""Planted figures: what a page is made of, each number unlike all others."""

from dataclasses import replace
from typing import Any

from app.bench.figures import (
    Answering,
    Comparison,
    Drafts,
    Figures,
    Footprint,
    Life,
    Memory,
    Option,
    Quantized,
    Reading,
    Sample,
    Subject,
    Together,
)
from backends.measurement import Divergence
from backends.protocol import Cells

SUBJECT = Subject(
    name="Tiny",
    file="Tiny-Q4_K_M.gguf",
    bytes=98_000_000,
    num_parameters=135_000_000,
    quantization="Q4_K_M",
    machine="A processor, 2 cores",
    num_cores=2,
    device="CPU",
    threads=2,
    context=8192,
    parallel=4,
    kv_type_k="f16",
    kv_type_v="f16",
    flash_attention="off",
    draft="lookup",
    kv_grows=True,
    build="llama.cpp 1",
    version="0.1.0",
    measured="2026-11-30T09:58:00+00:00",
    identity="0123",
    num_layers=31,
    batch=512,
)


def sample(*values: float) -> Sample:
    return Sample(values)


def compared(without: tuple[float, ...], within: tuple[float, ...]) -> Comparison:
    return Comparison(Sample(without), Sample(within))


def life(**kinds: tuple[float, ...]) -> Life:
    usual = {"start": (1.0, 1.1), "prompt": (300.0, 310.0), "answer": (90.0, 92.0)}
    usual |= {"first_bytes": (200e6, 201e6), "chat_bytes": (300e6, 301e6)}
    return Life(**{name: Sample(values) for name, values in (usual | kinds).items()})


def figures(**changes: Any) -> Figures:
    whole = Figures(
        SUBJECT,
        memory=Memory(Footprint(210_000_000, None, Cells(8, 512, 8192)), Footprint(420_000_000, None, CELLS), 4096),
        readings=(Reading(512, 509, sample(310, 320), sample(1.7, 1.65), sample(0.05, 0.051)),),
        answers=(Answering(0, sample(91, 93), 12.5, 98_000_000), Answering(512, sample(80, 82), 13.6, 110_000_000)),
        together=(Together(4, compared((91, 93), (182, 186))), Together(8, compared((91, 93), (210, 214)), 1024)),
        equal=compared((91, 92, 91.5), (91.2, 92.2, 91.6)),
        bandwidth=20e9,
        drafts=(Drafts("look-up", "a quotation", compared((90, 91), (135, 136)), 80, 60),),
        depth=2048,
        starts=sample(1.21, 1.23),
        growth=Option(life(first_bytes=(1.1e9, 1.101e9)), life(), is_own=True),
        quantized=Quantized("q8_0", Option(life(), life(chat_bytes=(270e6, 271e6)), is_own=False), DIVERGENCE),
        others=(0.02, 0.04),
        is_whole=True,
    )
    return replace(whole, **changes)


CELLS = Cells(4096, 8192, 8192)
DIVERGENCE = Divergence(0.0009, 0.0001, 0.01, 0.1, 0.988, 0.002)
