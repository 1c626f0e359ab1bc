"""What is reported about actors on Ray; the trainings themselves take too long for a test."""

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("ray", reason="needs the extra `ray`")

from benchmarks import ray_actors


@pytest.mark.parametrize(("times", "met"), [((1.8, 1.2, 1.9), True), ((1.1, 1.9, 1.2), False)])
def test_two_actors_have_to_be_faster_in_most_rounds(monkeypatch, times, met):
    speeds = iter([speed for two in times for speed in (50.0, 50.0 * two)])
    monkeypatch.setattr(ray_actors, "speed", lambda directory, actors, steps: next(speeds))
    row = ray_actors.actors_speed()
    assert row.met is met
    minimum, median, maximum = sorted(times)
    assert f"{median:.2f} times ({minimum:.2f} to {maximum:.2f}), up to {50 * maximum:.0f} steps/s" in row.measured


def test_without_ray_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(ray_actors.importlib.util, "find_spec", lambda name: None)
    assert ray_actors.actors_speed(quick=True).met is None
