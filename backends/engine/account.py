"""What the engine has done since the load, and what it takes of the machine. Belongs to the thread that speaks."""

from collections.abc import Callable
from contextlib import suppress

import psutil

from backends.engine.news import Counts, Stepped
from backends.protocol import DeviceMemory, Stats

STALL = 1.0  # seconds between two steps that are no work: nobody was there to answer, or to read


class Account:
    def __init__(self, devices: Callable[[], tuple[DeviceMemory, ...]]):
        self._devices = devices
        self._process = psutil.Process()
        self._rss = 0
        self._num_steps = 0
        self._num_tokens = 0
        self._num_prompt_tokens = 0
        self._num_cached_tokens = 0
        self._num_drafted = 0
        self._num_accepted = 0
        self._num_drafts = 0
        self._decode_seconds = 0.0
        self._step_seconds = 0.0
        self._prompt_seconds = 0.0
        self._num_following = 0
        self._num_following_steps = 0
        self._following_seconds = 0.0
        self._num_answered = 0
        self._first_token_ms = 0.0
        self._queue_ms = 0.0
        self._now = 0.0  # when the last step's tokens were known

    def add(self, stepped: Stepped) -> None:
        self._num_steps += 1
        self._num_tokens += stepped.num_sampled
        self._num_prompt_tokens += stepped.num_prompt_tokens
        self._decode_seconds += stepped.decode_seconds
        self._step_seconds += stepped.step_seconds
        if stepped.num_prompt_tokens:
            self._prompt_seconds += stepped.step_seconds
        num_following = stepped.num_sampled
        for said in stepped.said:
            if said.timings:
                num_following -= 1
                self._num_answered += 1
                self._num_cached_tokens += said.timings.cache_n
                self._first_token_ms += said.timings.first_token_ms
                self._queue_ms += said.timings.queue_ms
            self._num_drafted += said.num_drafted
            self._num_drafts += said.num_drafted > 0
            self._num_accepted += said.num_accepted
        self._add_following(num_following, stepped)

    def stats(self, counts: Counts) -> Stats:
        return Stats(
            num_running=counts.num_running,
            num_waiting=counts.num_waiting,
            cells=counts.cells,
            processor=counts.processor,
            rss_bytes=self._memory(),
            devices=self._devices(),
            num_steps=self._num_steps,
            num_tokens=self._num_tokens,
            num_prompt_tokens=self._num_prompt_tokens,
            num_cached_tokens=self._num_cached_tokens,
            num_drafted=self._num_drafted,
            num_accepted=self._num_accepted,
            num_drafts=self._num_drafts,
            decode_us=round(1e6 * self._decode_seconds),
            step_us=round(1e6 * self._step_seconds),
            num_following=self._num_following,
            num_following_steps=self._num_following_steps,
            following_us=round(1e6 * self._following_seconds),
            prompt_us=round(1e6 * self._prompt_seconds),
            num_answered=self._num_answered,
            first_token_us=round(1000 * self._first_token_ms),
            queue_us=round(1000 * self._queue_ms),
            drafting=counts.drafting,
            kv_layout=counts.kv_layout,
        )

    def _add_following(self, num_following: int, stepped: Stepped) -> None:
        between, self._now = stepped.now - self._now, stepped.now
        if num_following > 0:
            self._num_following += num_following
            self._num_following_steps += 1
            self._following_seconds += between if between < STALL else stepped.step_seconds

    def _memory(self) -> int:
        """What was seen last, where no file is free to look again."""
        with suppress(OSError, psutil.Error):
            self._rss = self._process.memory_info().rss
        return self._rss
