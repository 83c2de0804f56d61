"""What is measured of one server: each case starts it anew and returns figures. Names say the unit."""

import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.client import Reply, ask, completion
from tests.bench.pairs import Figures
from tests.bench.servers import Program, Server, Setting, running
from tests.bench.workloads import chats

Case = Callable[[Program, Setting], Figures]
FIRST_TOKEN, LAST_TOKEN = 300, 8_000  # ids that every vocabulary here has
LAST_GUIDE_TOKEN = 1000  # but the guide's
CHAT = "/v1/chat/completions"
ALLOWED = 0.15  # seconds between two tokens, if 4 steady steps are no longer
NUM_WARM, NUM_RETURNED = 5, 2  # each return reads another 4,096 tokens first, which takes nearly all of the time
NUM_STREAMED = 800  # tokens of a stream beside newcomers; their context has room for as many

_seeds = iter(range(1, 1 << 30))


def prompt(length: int) -> list[int]:
    """Token ids that no earlier prompt has begun with."""
    source = random.Random(next(_seeds))
    return [source.randrange(FIRST_TOKEN, LAST_TOKEN) for _ in range(length)]


def decode_and_prefill(program: Program, setting: Setting) -> Figures:
    """One stream: 256 tokens after a short prompt, then the first token of a cold prompt of 2,048."""
    with running(program, setting) as server:
        _warm_up(server)
        cpu = server.cpu_seconds
        (reply,) = ask(server.port, completion(prompt(64), 256))
        cpu = server.cpu_seconds - cpu
        cold = statistics.median(_first_token(server, prompt(2048)) for _ in range(2))
    return {
        "decode tok/s": reply.tokens_per_second,
        "cpu ms per token": 1000 * cpu / 256,
        "prefill 2k tok/s": 2048 / cold,
    }


def eight_streams(program: Program, setting: Setting) -> Figures:
    """8 answers of 256 tokens side by side: from the first request to the last event, and while all of them stream."""
    with running(program, replace(setting, parallel=8)) as server:
        _warm_up(server)
        cpu = server.cpu_seconds
        replies = ask(server.port, *(completion(prompt(64), 256) for _ in range(8)))
        cpu = server.cpu_seconds - cpu
    begin, end = min(r.sent for r in replies), max(r.arrivals[-1] for r in replies)
    steady = [_between(reply, replies) for reply in replies]
    return {
        "8 streams tok/s": 8 * 256 / (end - begin),
        "8 streams steady tok/s": sum(steady),
        "cpu ms per token": 1000 * cpu / (8 * 256),
    }


def eight_texts(spell: Callable[[list[int]], str]) -> Case:
    """The same for a server that takes no token ids and counts no tokens: events are counted."""

    def case(program: Program, setting: Setting) -> Figures:
        with running(program, replace(setting, parallel=8)) as server:
            ask(server.port, completion(spell(prompt(32)), 16))
            replies = ask(server.port, *(completion(spell(prompt(64)), 128) for _ in range(8)))
        begin, end = min(r.arrivals[0] for r in replies), max(r.arrivals[-1] for r in replies)
        return {"8 streams events/s": sum(len(r.arrivals) - 1 for r in replies) / (end - begin)}

    return case


def cold_clients(program: Program, setting: Setting) -> Figures:
    """8 clients at once, the same 4,096 tokens and 16 of their own each, 16 tokens of answer."""
    with running(program, replace(setting, parallel=8)) as server:
        _warm_up(server)
        shared = prompt(4096)
        begin = time.perf_counter()
        replies = ask(server.port, *(completion([*shared, *prompt(16)], 16) for _ in range(8)))
    return {"makespan s": max(reply.arrivals[-1] for reply in replies) - begin}


def warm_prompts(program: Program, setting: Setting) -> Figures:
    """First token after 4,096 known and 64 new ones; and of a conversation that another one has displaced."""
    with running(program, setting) as server:
        _warm_up(server)
        shared = prompt(4096)
        cold = _first_token(server, shared)
        warm = statistics.median(_first_token(server, [*shared, *prompt(64)]) for _ in range(NUM_WARM))
        returned = []
        for _ in range(NUM_RETURNED):
            _first_token(server, prompt(4096))
            returned.append(_first_token(server, [*shared, *prompt(64)]))
    return {"cold 4k ms": 1000 * cold, "warm ms": 1000 * warm, "A-B-A ms": 1000 * statistics.median(returned)}


def prompt_beside_streams(length: int = 4096) -> Case:
    """A cold prompt of so many tokens arrives while 4 answers stream: what the streams notice, and the newcomer."""

    def case(program: Program, setting: Setting) -> Figures:
        with running(program, replace(setting, parallel=5)) as server:
            _warm_up(server)
            streams, (late,) = _beside(server, 4, [(2.0, length)])
        before = [gap for gap, at in _gaps(streams) if at < late.sent - 0.1]
        during = sorted(gap for gap, at in _gaps(streams) if late.sent <= at <= late.arrivals[0])
        steady, p99 = statistics.median(before), during[int(0.99 * (len(during) - 1))]
        return {
            "steady ms": 1000 * steady,
            "worst stall ms": 1000 * during[-1],
            "p99 ms": 1000 * p99,
            "worst stall over the allowed": during[-1] / max(4 * steady, ALLOWED),
            "newcomer's first token ms": 1000 * late.first_token_seconds,
        }

    return case


def prompts_beside_prompts(program: Program, setting: Setting) -> Figures:
    """A prompt of 64 tokens beside 2 streams; then again, while 3 of 3,072 are being read."""
    with running(program, replace(setting, parallel=6)) as server:
        _warm_up(server)
        _, (alone,) = _beside(server, 2, [(1.0, 64)])
        _, (*long, short) = _beside(server, 2, [*[(1.0, 3072)] * 3, (3.0, 64)])
    waits = [reply.first_token_seconds for reply in long]
    return {
        "short's first token ms": 1000 * short.first_token_seconds,
        "short's first token alone ms": 1000 * alone.first_token_seconds,
        "long ones' last first token ms": 1000 * max(waits),
        "long ones, first over last": min(waits) / max(waits),
    }


def _beside(server: Server, num_streams: int, late: list[tuple[float, int]]) -> tuple[list[Reply], list[Reply]]:
    """Streams that last until the prompts have been answered, which come after so many seconds, of so many tokens."""
    with ThreadPoolExecutor(len(late)) as pool:
        newcomers = [pool.submit(_ask_later, server, seconds, length) for seconds, length in late]
        streams = ask(server.port, *(completion(prompt(64), NUM_STREAMED) for _ in range(num_streams)))
        replies = [newcomer.result() for newcomer in newcomers]
    if any(reply.arrivals[0] > stream.arrivals[-1] for reply in replies for stream in streams):
        raise RuntimeError("the streams ended before the newcomers were answered")
    return streams, replies


def _ask_later(server: Server, seconds: float, length: int) -> Reply:
    time.sleep(seconds)
    return ask(server.port, completion(prompt(length), 4))[0]


def _gaps(streams: list[Reply]) -> list[tuple[float, float]]:
    """Of all streams, each with when it began."""
    return [pair for reply in streams for pair in zip(reply.intervals, reply.arrivals, strict=False)]


def restart(program: Program, setting: Setting) -> Figures:
    """First token of a 4,096 token prompt: cold, and after the server has been ended and started again."""
    with TemporaryDirectory(prefix="slipstream-bench-home-") as folder:
        shared = prompt(4096)
        with running(program, setting, Path(folder)) as server:
            _warm_up(server)
            cold = _first_token(server, shared)
        with running(program, setting, Path(folder)) as server:
            _warm_up(server)
            (reply,) = ask(server.port, completion([*shared, *prompt(64)], 2))
    return {"cold ms": 1000 * cold, "from disk ms": 1000 * reply.first_token_seconds}


def deep_decode(program: Program, setting: Setting) -> Figures:
    """128 tokens behind a prompt of 4,096."""
    with running(program, setting) as server:
        _warm_up(server)
        (reply,) = ask(server.port, completion(prompt(4096), 128))
    return {"decode at 4k tok/s": reply.tokens_per_second}


def drafting(workload: str) -> Case:
    """Tokens per second over the answers of one workload, from first to last token, one chat after the other."""

    def case(program: Program, setting: Setting) -> Figures:
        with running(program, setting) as server:
            _warm_up(server, LAST_GUIDE_TOKEN)
            replies = [ask(server.port, body, path=CHAT)[0] for _ in range(3) for body in chats(workload)]
        measured = [reply for reply in replies[len(replies) // 3 :] if reply.num_tokens > 8]  # the first round warms up
        seconds = sum(reply.arrivals[-1] - reply.arrivals[0] for reply in measured)
        return {f"{workload} tok/s": sum(reply.num_tokens - 1 for reply in measured) / seconds}

    return case


def _between(reply: Reply, replies: list[Reply]) -> float:
    """Tokens per second while all of them streamed."""
    begin, end = max(r.arrivals[0] for r in replies), min(r.arrivals[-1] for r in replies)
    inside = [at for at in reply.arrivals if begin <= at <= end]
    return (len(inside) - 1) / (end - begin) if end > begin else 0.0


def _first_token(server: Server, tokens: list[int]) -> float:
    (reply,) = ask(server.port, completion(tokens, 2))
    return reply.first_token_seconds


def _warm_up(server: Server, last_token: int = LAST_TOKEN) -> None:
    ask(server.port, completion([token % last_token for token in prompt(32)], 16))
