"""What the engine has done since the load, and what it takes of the machine. Belongs to the thread that speaks."""

from collections.abc import Callable
from contextlib import suppress

import psutil

from backends.engine.news import Counts, Stepped
from backends.protocol import DeviceMemory, Stats


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

    def add(self, stepped: Stepped) -> None:
        self._num_steps += 1
        self._num_tokens += stepped.num_sampled
        self._num_prompt_tokens += stepped.num_prompt_tokens
        self._decode_seconds += stepped.decode_seconds
        self._step_seconds += stepped.step_seconds
        for said in stepped.said:
            if said.timings:
                self._num_cached_tokens += said.timings.cache_n
            self._num_drafted += said.num_drafted
            self._num_drafts += said.num_drafted > 0
            self._num_accepted += said.num_accepted

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
            drafting=counts.drafting,
            kv_layout=counts.kv_layout,
        )

    def _memory(self) -> int:
        """What was seen last, where no file is free to look again."""
        with suppress(OSError, psutil.Error):
            self._rss = self._process.memory_info().rss
        return self._rss
