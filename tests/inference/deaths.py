"""Entry points for children that stand in for the self-test of a build."""

import os
from collections.abc import Callable

from backends.child import Progress, Refusal

Report = Callable[[Progress], None]


def dies_of_extra_buffer_types(_report: Report, extra_buffer_types: bool) -> str:
    if extra_buffer_types:
        os.abort()
    return "a build that crashes with AMX"


def dies_always(_report: Report, extra_buffer_types: bool) -> str:  # noqa: ARG001
    os.abort()


def refuses(_report: Report, extra_buffer_types: bool) -> str:  # noqa: ARG001
    raise Refusal("This build computes nonsense.")
