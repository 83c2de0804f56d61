"""Parts that are made when they are wanted: once, by whoever asks first, also when two ask at once."""

import threading

from app.late import late
from tests.patience import PATIENCE


class House:
    def __init__(self) -> None:
        self.made: list[str] = []
        self.may_go_on = threading.Event()

    @late
    def garden(self) -> object:
        self.made.append("garden")
        self.may_go_on.wait(PATIENCE)
        return object()

    @late
    def gate(self) -> tuple[object, str]:
        return self.garden, "gate"


def test_a_part_is_made_when_it_is_asked_for_and_stays() -> None:
    house = House()
    house.may_go_on.set()
    assert house.made == []
    assert house.gate[0] is house.garden
    assert house.made == ["garden"]
    assert House().__dict__.keys().isdisjoint({"garden", "gate"})


def test_two_who_ask_at_once_get_the_same() -> None:
    house, found = House(), list[object]()
    threads = [threading.Thread(target=lambda: found.append(house.garden)) for _ in range(2)]
    for thread in threads:
        thread.start()
    house.may_go_on.set()
    for thread in threads:
        thread.join()
    assert found == [house.garden] * 2
    assert house.made == ["garden"]


def test_another_may_be_put_in_its_place() -> None:
    house = House()
    house.garden = "another"  # type: ignore[misc,assignment]
    assert house.garden == "another"
    assert house.made == []
