"""The examples with reinforcement learning that need no more than the trainer; `.ci/nightly` has the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: str) -> list[str]:
    """The lines that an example prints."""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_gymnasiums_wrappers_go_around_an_id_and_vectors_reset_it_in_every_way() -> None:
    shape, end, *vectors = run("gymnasium_wrappers.py")
    assert shape == "stacked vectors: (4, 21)"
    assert end.startswith("return 1 after ")
    # Of 20 steps of 2 environments with episodes of 10, the one that follows an end may be the reset.
    assert [line.split(": ", 1)[1] for line in vectors] == [
        f"{steps} steps, operator drove: False" for steps in (38, 40, 40)
    ]


@pytest.mark.slow
def test_sac_of_a_single_file_learns_from_episodes_that_ended(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    weights = tmp_path / "actor.pt"
    lines = run(
        "cleanrl_sac.py", "--num-envs", "2", "--steps", "400", "--learning-starts", "300", "--out", str(weights)
    )
    assert lines[-1].startswith("2 episodes, success 0.00, critic loss ")
    assert weights.stat().st_size > 10_000
