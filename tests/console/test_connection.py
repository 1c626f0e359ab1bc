"""A page can send as much as it may, and no more."""

from gym_hil.console.connection import RateLimit


def test_burst_then_as_much_as_refills() -> None:
    limit = RateLimit(10.0, 5, now=0.0)
    assert [limit.allow(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [limit.allow(0.2) for _ in range(3)] == [True, True, False]


def test_budget_does_not_grow_beyond_the_burst() -> None:
    limit = RateLimit(10.0, 5, now=0.0)
    assert [limit.allow(1000.0) for _ in range(6)] == [True] * 5 + [False]
