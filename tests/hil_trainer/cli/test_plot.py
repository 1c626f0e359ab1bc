import pytest

from hil_trainer.cli import main
from tests.hil_trainer.runs import made_up_run

pytest.importorskip("matplotlib", reason="needs the extra `train`")


@pytest.fixture
def printed(capsys):
    """Runs `hil-trainer plot` and returns the lines that it prints."""

    def run(*words):
        assert main(["plot", *map(str, words)]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_each_run_has_a_line_and_each_group_its_median(tmp_path, printed):
    for seed in range(3):
        made_up_run(tmp_path / "state" / f"seed_{seed}", seed, last=100, final=90 + seed)
    lines = printed(tmp_path / "state", "--out", tmp_path / "compared.png")
    assert len(lines) == 5
    for seed, line in enumerate(lines[:3]):
        assert line.startswith(f"state, seed_{seed}: 95% after ")
        assert "of them the operator's, in 1:" in line
        assert "; 99% after " in line
        assert line.endswith(f"; final evaluation {90 + seed} of 100")
    assert lines[3].startswith("state, median of 3: 95% after ")
    assert lines[3].endswith("; final evaluation 91%")
    assert lines[4] == f"figure in {tmp_path / 'compared.png'}"
    assert (tmp_path / "compared.png").exists()


def test_a_rate_that_was_not_reached_is_said_so(tmp_path, printed):
    made_up_run(tmp_path / "a", speed=0.1, steps=1000, last=50, final=41)
    lines = printed(tmp_path / "a", "--labels", "slow", "--out", tmp_path / "compared.png")
    assert lines[0] == "slow, a: 95% not reached; 99% not reached; final evaluation 41 of 100"


def test_a_median_says_how_many_runs_reached_the_rate(tmp_path, printed):
    for seed, last in enumerate((100, 100, 50)):
        made_up_run(tmp_path / "runs" / str(seed), seed, speed=1.0 if last == 100 else 0.1, last=last)
    lines = printed(tmp_path / "runs", "--out", tmp_path / "compared.png")
    assert lines[3].count("(reached by 2 of 3)") == 2
    for seed in (3, 4):
        made_up_run(tmp_path / "runs" / str(seed), seed, speed=0.1, last=50)
    lines = printed(tmp_path / "runs", "--out", tmp_path / "compared.png")
    assert lines[5].count("not reached (2 of 5 reached it)") == 2
