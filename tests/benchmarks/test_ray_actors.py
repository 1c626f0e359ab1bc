"""What is reported about actors on Ray; the trainings themselves take too long for a test."""

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("ray", reason="needs the extra `ray`")

from benchmarks import ray_actors


@pytest.mark.parametrize(("times", "met"), [((1.8, 1.2, 1.9), True), ((1.1, 1.9, 1.2), False)])
def test_two_actors_have_to_be_faster_in_most_rounds(monkeypatch, times, met):
    monkeypatch.setattr(ray_actors, "speed", lambda folder, rounds, measured: [(50.0, 50.0 * many) for many in times])
    row = ray_actors.actors_speed()
    assert row.met is met
    minimum, median, maximum = sorted(times)
    assert f"{median:.2f} times ({minimum:.2f} to {maximum:.2f}), up to {50 * maximum:.0f} steps/s" in row.measured


@pytest.mark.parametrize(
    ("kills", "replaced", "successes", "exit_status", "met"),
    [(5, 5, 99, 0, True), (5, 4, 99, 0, False), (5, 5, 98, 0, False), (5, 5, 99, 1, False)],
)
def test_killed_actors_have_to_be_replaced_and_the_target_reached(
    monkeypatch, kills, replaced, successes, exit_status, met
):
    training = {"kills": 0, "replaced": 0, "successes": "99/100", "exit_status": 0, "steps": 2000, "seconds": 70}
    other = {"kills": kills, "replaced": replaced, "successes": f"{successes}/100", "exit_status": exit_status}
    monkeypatch.setattr(ray_actors, "killed", lambda folder, kills, steps: [training, {**training, **other}])
    row = ray_actors.killed_actors()
    assert row.met is met
    assert f"5 killed, {replaced} replaced: {successes}/100 after 2,000 steps in 70 s" in row.measured


def test_without_ray_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(ray_actors.importlib.util, "find_spec", lambda name: None)
    for benchmark in (ray_actors.actors_speed, ray_actors.killed_actors):
        assert benchmark(quick=True).met is None
