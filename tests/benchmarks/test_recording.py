"""What the benchmark of recording reports on a machine of any speed."""

from benchmarks import recording


def test_recorded_episodes_are_the_same_when_they_are_read(monkeypatch):
    monkeypatch.delenv(recording.LEROBOT, raising=False)
    row = recording.images_kept(quick=True)
    assert row.met, row


def test_killed_recorders_leave_whole_episodes(monkeypatch):
    monkeypatch.delenv(recording.LEROBOT, raising=False)
    row = recording.killed_recorders(quick=True)
    assert row.met, row


def test_the_overhead_is_a_number():
    assert "ms" in recording.overhead_in_real_time(quick=True).measured
