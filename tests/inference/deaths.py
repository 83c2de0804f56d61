"""Entry points for children that stand in for the self-test of a build."""

import os
from collections.abc import Callable

from backends.child import Progress, Refusal, SelfTest

Report = Callable[[Progress], None]


def dies_of_extra_buffer_types(_report: Report, extra_buffer_types: bool) -> SelfTest:
    if extra_buffer_types:
        os.abort()
    return SelfTest("a build that crashes with AMX", 1.0)


def dies_always(_report: Report, extra_buffer_types: bool) -> SelfTest:  # noqa: ARG001
    os.abort()


def refuses(_report: Report, extra_buffer_types: bool) -> SelfTest:  # noqa: ARG001
    raise Refusal("This build computes nonsense.")


def counts_turns(_report: Report, extra_buffer_types: bool) -> SelfTest:  # noqa: ARG001
    return SelfTest("a build with libgomp", 1.0, "libgomp", 2e-8, "", 1.5e-4)
