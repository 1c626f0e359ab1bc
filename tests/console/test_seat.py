"""One page drives, nobody can push it out of its seat, and nobody holds it forever."""

import pytest

from gym_hil.console.seat import Seat


@pytest.fixture
def seat() -> Seat:
    return Seat(silence=10.0)


def test_first_who_asks_gets_it_and_the_next_does_not(seat: Seat) -> None:
    assert seat.holder(0.0) is None
    assert seat.take("a", 0.0)
    assert not seat.take("b", 1.0)
    assert seat.take("a", 1.0)
    assert seat.holder(1.0) == "a"


def test_release_frees_it_at_once_but_only_the_holder_can(seat: Seat) -> None:
    seat.take("a", 0.0)
    assert not seat.release("b")
    assert seat.release("a")
    assert seat.take("b", 0.0)


def test_silence_frees_it_and_every_word_starts_the_time_anew(seat: Seat) -> None:
    seat.take("a", 0.0)
    assert seat.hear("a", 9.0)
    assert not seat.take("b", 18.9)
    assert seat.take("b", 19.1)
    assert not seat.hear("a", 19.2)


def test_words_of_others_count_for_nothing(seat: Seat) -> None:
    seat.take("a", 0.0)
    assert not seat.hear("b", 9.0)
    assert seat.holder(10.5) is None


def test_who_comes_back_after_a_silence_still_has_it_if_nobody_took_it(seat: Seat) -> None:
    seat.take("a", 0.0)
    assert seat.hear("a", 30.0)
    assert not seat.take("b", 30.0)


def test_countdown_starts_when_the_holder_has_gone_silent(seat: Seat) -> None:
    assert seat.free_in(0.0) is None
    seat.take("a", 0.0)
    assert seat.free_in(0.5) is None
    assert seat.free_in(4.0) == pytest.approx(6.0)
    assert seat.free_in(10.5) is None
