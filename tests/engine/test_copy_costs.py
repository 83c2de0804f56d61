"""A kept state is brought back when that is quicker than reading the prompt, as both were measured."""

import pytest

from backends.prompt_cache.copy_costs import MAX_DECLINED, NUM_FIRST, CopyCosts, Way
from backends.prompt_cache.state import Tier

KILOBYTES = 128_000  # a state of 1,000 tokens at 128 bytes each


def measured(prompt_token: float, restore: float | None = None, read: float | None = None) -> CopyCosts:
    """Seconds per prompt token and per byte."""
    costs = CopyCosts()
    costs.prompt_token = prompt_token
    for way, seconds in ((Way.RESTORE, restore), (Way.READ, read)):
        for _ in range(NUM_FIRST if seconds is not None else 0):
            costs.observe(way, 1000, 1000 * (seconds or 0.0))
    return costs


@pytest.mark.parametrize(("tier", "least"), [(Tier.RAM, 63), (Tier.DISK, 125)])
def test_before_anything_is_measured_a_share_of_the_state_must_be_gained(tier: Tier, least: int) -> None:
    costs = CopyCosts()
    assert costs.pays(least, 1000, KILOBYTES, tier)
    assert not costs.pays(least - 1, 1000, KILOBYTES, tier)


def test_on_a_quick_device_a_slow_disk_does_not_pay_and_ram_does() -> None:
    costs = measured(prompt_token=10e-6, restore=1e-9, read=1e-6)
    assert not costs.pays(1000, 1000, KILOBYTES, Tier.DISK), "10 ms against 128"
    assert costs.pays(1000, 1000, KILOBYTES, Tier.RAM), "10 ms against 0.1"
    assert not costs.pays(10, 1000, KILOBYTES, Tier.RAM)


def test_on_a_slow_device_few_tokens_pay_a_long_copy() -> None:
    costs = measured(prompt_token=2e-3, restore=1e-9, read=1e-9)
    assert costs.pays(10, 1000, KILOBYTES, Tier.DISK), "20 ms against 0.3"


def test_a_save_tells_what_a_restore_will_cost_until_one_is_measured() -> None:
    costs = measured(prompt_token=10e-6)
    assert costs.seconds(KILOBYTES, Tier.RAM) is None
    for _ in range(NUM_FIRST):
        costs.observe(Way.SAVE, 1000, 1e-6)
    assert costs.seconds(KILOBYTES, Tier.RAM) == pytest.approx(128e-6)
    assert costs.seconds(KILOBYTES, Tier.DISK) is None


def test_one_copy_that_the_system_interrupted_says_nothing() -> None:
    costs = CopyCosts()
    for seconds in (1e-6, 1.0, 1e-6, 1.0):
        costs.observe(Way.RESTORE, 1000, seconds)
    assert costs.seconds(1000, Tier.RAM) == pytest.approx(1e-6, rel=0.1)


def test_what_is_always_declined_is_measured_anew() -> None:
    costs = measured(prompt_token=10e-6, restore=1e-3)
    answers = [costs.pays(500, 1000, KILOBYTES, Tier.RAM) for _ in range(MAX_DECLINED + 1)]
    assert answers == [False] * MAX_DECLINED + [True]
