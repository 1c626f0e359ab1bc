"""A run: what it leaves behind, and how it goes on after whatever stopped it."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from gym_hil.cli import main as gym_hil_main
from gym_hil.errors import ConfigurationError
from hil_trainer.agents.policy import Policy
from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.cli import main
from hil_trainer.errors import DemonstrationsError, DivergenceError
from hil_trainer.logging.metrics import DISCARDED, read_metrics
from hil_trainer.train import Training
from tests.hil_trainer.rollout.test_actor import Still
from tests.hil_trainer.rollout.test_evaluation import Reaching

PATIENCE = 120  # s
WORDS = {
    "--steps": 120, "--demos": 2, "--threads": 1,
    "--evaluation.every": 60, "--evaluation.quick-episodes": 1, "--evaluation.episodes": 1,
    "--agent.utd-ratio": 1, "--agent.batch-size": 16,
    "--agent.width": 16, "--agent.buffer-capacity": 2000, "--mixed-precision": "off",
}  # fmt: skip


def words(out, **changes):
    """The words of a run that is over soon."""
    chosen = {**WORDS, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    found = ["train", "--out", str(out), "--no-tensorboard"]
    for name, value in chosen.items():
        found += [name, str(value)]
    return found


def curves(directory):
    """Kind -> its rows."""
    rows = read_metrics(directory)
    kinds = ("episode", "learning", "evaluation", "event")
    return {kind: [row for row in rows if row["kind"] == kind] for kind in kinds}


def assert_joined(directory):
    """Curves go on where they stopped: no step and no second twice, and episodes are counted on."""
    for kind, rows in curves(directory).items():
        assert all(np.diff([row["step"] for row in rows]) >= 0), kind
    seconds = [row["seconds"] for row in read_metrics(directory)]
    assert all(np.diff(seconds) >= 0)
    numbers = [row["episode"] for row in curves(directory)["episode"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a run that made all its steps, and was then resumed with more."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(words(out)) == 0
    before = read_metrics(out)
    assert main(["train", "--resume", "--out", str(out), "--steps", "180"]) == 0
    assert read_metrics(out)[: len(before)] == before
    return out


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The directory of a dataset of one episode."""
    root = str(tmp_path_factory.mktemp("recorded") / "data")
    record = ["record", "--repo-id", "me/demo", "--root", root, "--device", "scripted", "--no-images"]
    assert gym_hil_main([*record, "--task", "PandaPickCube-v1", "--episodes", "1"]) == 0
    return root


def test_a_run_leaves_everything_behind(finished):
    there = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    wanted = {"config.json", "metrics.jsonl", "policy.safetensors", "policy.json"}
    assert there >= wanted | {"report/curves.png", "report/evaluation.mp4"}
    assert [path.name for path in checkpoints(finished)] == ["step_00000120", "step_00000180"]
    config = json.loads((finished / "config.json").read_text())
    assert (config["steps"], config["agent"]["width"]) == (180, 16)
    assert not multiprocessing.active_children()


def test_a_run_tells_what_happened(finished):
    found = curves(finished)
    demonstrations = [row for row in found["episode"] if row["demonstration"]]
    assert [row["success"] for row in demonstrations] == [True, True]
    assert {row["step"] for row in demonstrations} == {0}
    assert found["learning"][-1]["updates"] > 0
    assert found["learning"][-1]["staleness"] <= 20
    assert found["evaluation"][0]["step"] == 60
    assert {row["purpose"] for row in found["evaluation"]} == {"quick", "full", "final"}
    assert found["event"][0]["text"].startswith("2 demonstrations: 2 succeed")
    assert "resumed from checkpoints/step_00000120" in [row["text"] for row in found["event"]]


def test_curves_of_a_resumed_run_join(finished):
    assert_joined(finished)


def online(checkpoint):
    """The online buffer of a checkpoint, and the learner's state."""
    state, segments = read_learner_state(checkpoint)
    return torch.cat([segment["rows"] for segment in segments["online"]]), state


def test_a_run_goes_on_learning_from_all_it_had(finished):
    (before, state), (after, state_after) = (online(path) for path in checkpoints(finished))
    assert (len(before), len(after)) == (120, 180)
    assert torch.equal(after[:120], before)
    assert (state["updates"], state_after["updates"]) == (120, 180)
    assert state_after["buffers"]["demo"]["added"] >= state["buffers"]["demo"]["added"] > 0


@pytest.mark.parametrize(("agent", "successes"), [(Reaching(), 2), (Still(), 0)], ids=["able", "idle"])
def test_successes_of_a_policy_are_counted_from_its_directory_and_its_file(
    finished, capsys, tmp_path, monkeypatch, agent, successes
):
    monkeypatch.setattr(Policy, "plans", lambda self, observations, greedy: agent(observations))
    video = tmp_path / "film.mp4"
    assert main(["eval", str(finished), "--episodes", "2", "--seed", "3", "--video", str(video)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"successes: {successes}/2"
    assert video.stat().st_size > 1000
    assert main(["eval", str(finished / "policy.safetensors"), "--episodes", "2", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == printed[-2:]


def test_a_policy_is_not_evaluated_in_a_task_it_does_not_fit(finished, capsys):
    assert main(["eval", str(finished), "--episodes", "1", "--task", "PandaArrangeBoxes"]) == 1
    assert "environment_state has 15 numbers instead of 3 numbers" in capsys.readouterr().err


def test_a_directory_with_a_run_is_not_written_over(finished, capsys):
    before = (finished / "config.json").read_bytes()
    assert main(words(finished)) == 1
    assert "holds a run already. Go on with --resume, or choose another --out" in capsys.readouterr().err
    assert (finished / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"device": "cuda:7"}, ConfigurationError, "device is 'cuda:7', but torch .* CUDA devices here.*--device cpu"),
        ({"task": "PandaJuggle"}, Exception, "no environment 'PandaJuggle'.*PandaPickCube"),
        ({"demos": "nothing/here"}, Exception, "nothing/here"),
        ({"wandb": "pick"}, Exception, "wandb"),
        ({"obs": "pixels", "image_size": 16, "demos": "DATA"}, DemonstrationsError, "--no-privileged"),
        ({"algorithm": "bc", "chunk_size": 200}, ConfigurationError, "chunk_size is 200, but an episode.*at most 150"),
        ({"algorithm": "bc", "chunk_size": 99, "demos": "DATA"}, DemonstrationsError, "longest .* expected 99 or more"),
        ({"algorithm": "acfql", "chunk_size": 200}, ConfigurationError, "at most 150 .*--acfql.chunk-size"),
        ({"algorithm": "acfql", "chunk_size": 99, "demos": "DATA"}, DemonstrationsError, "longest .* 99 or more"),
        ({"algorithm": "acfql", "task": "PandaArrangeBoxes-v1", "demos": "DATA"}, DemonstrationsError, "shape"),
    ],
)
def test_what_does_not_start_leaves_no_run(small, tmp_path, recorded, monkeypatch, settings, error, message):
    monkeypatch.setitem(sys.modules, "wandb", None)
    if settings.get("demos") == "DATA":
        settings = {**settings, "demos": recorded}
    with pytest.raises(error, match=message):
        Training(small(**settings), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
    assert "device" not in settings or not (tmp_path / "run").exists()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_the_same_seed_trains_the_same_whenever_evaluations_end(small, tmp_path, monkeypatch):
    one = Training(small(steps=60, every=20), tmp_path / "one")
    one.run()
    other = Training(small(steps=60, every=20), tmp_path / "other")
    other._evaluations.advance = lambda newest: None
    other._evaluate_last = lambda: None
    other.run()
    # What follows in the other run is no numbers, of which no checkpoint is written.
    step = other.env.step
    monkeypatch.setattr(other.env, "step", lambda action: step(action)._replace(reward=float("nan")))
    other.config = small(steps=100)
    with pytest.raises(DivergenceError, match="critic_loss is nan"):
        other.run()
    assert "critic_loss is nan" in curves(tmp_path / "other")["event"][-1]["text"]
    for run in (one, other):
        run.close()
    saved = [checkpoints(tmp_path / name) for name in ("one", "other")]
    assert [[path.name[5:] for path in paths] for paths in saved] == [["00000000", "00000060"]] * 2
    (here_rows, here), (there_rows, there) = (online(paths[-1]) for paths in saved)
    assert torch.equal(here_rows, there_rows)
    assert here["updates"] == there["updates"] == 60
    for part in ("policy", "critic", "critic_target"):
        assert all(
            torch.equal(value, there["algorithm"][part][name]) for name, value in here["algorithm"][part].items()
        )


class Run:
    """`hil-trainer` in a process group of its own."""

    def __init__(self, arguments, log):
        code = "import sys; from hil_trainer.cli import main\nif __name__ == '__main__': sys.exit(main())"
        self.log = log
        with log.open("w") as file:
            command = [sys.executable, "-c", code, *arguments]
            self.process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)

    def wait_for(self, happened):
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def signal(self, number):
        """As a terminal does: to all processes of the group."""
        os.killpg(self.process.pid, number)
        return self.process.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
def test_a_run_that_is_killed_goes_on_and_ctrl_c_saves_it(tmp_path):
    out = tmp_path / "run"
    endless = [*words(out, steps=100_000, checkpoint_seconds=0.2), "--evaluation.every", "50"]
    steps = lambda: max((row["step"] for row in read_metrics(out)), default=0)  # noqa: E731

    killed = Run(endless, tmp_path / "killed.log")
    killed.wait_for(lambda: len(checkpoints(out)) == 2 and steps() > int(checkpoints(out)[-1].name[5:13]))
    assert killed.signal(signal.SIGKILL) == -signal.SIGKILL
    saved = int(checkpoints(out)[-1].name[5:13])

    resumed = Run(["train", "--resume", "--out", str(out)], tmp_path / "resumed.log")
    resumed.wait_for(lambda: (out / DISCARDED).exists() or "resumed" in str(curves(out)["event"]))
    resumed.wait_for(lambda: steps() > saved + 100)
    made = steps()
    assert resumed.signal(signal.SIGINT) == 130, resumed.log.read_text()
    assert "Traceback" not in resumed.log.read_text()
    events = [row["text"] for row in curves(out)["event"]]
    assert f"resumed from checkpoints/step_{saved:08d}" in events
    assert events[-1] == "stopped by Ctrl-C; go on with --resume"
    newest = checkpoints(out)[-1]
    assert int(newest.name[5:13]) >= made
    assert read_learner_state(newest)[0]["updates"] > saved
    assert_joined(out)
    assert (out / "report" / "curves.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
@pytest.mark.parametrize(("algorithm", "phase"), [("bc", "offline"), ("acfql", "offline"), ("acfql", "online")])
def test_learning_from_chunks_goes_on_after_a_kill_with_the_same_weights(tmp_path, algorithm, phase):
    offline, steps = (400, 0) if phase == "offline" else (50, 200)
    small = {f"{algorithm}.{name}": value for name, value in {"width": 16, "batch_size": 8, "utd_ratio": 1}.items()}
    settings = {"algorithm": algorithm, "offline_steps": offline, "steps": steps, "demos": 1, **small}
    killed = Run(words(tmp_path / "killed", checkpoint_seconds=0.1, **settings), tmp_path / "killed.log")
    saved = lambda: max((int(path.name[5:13]) for path in checkpoints(tmp_path / "killed")), default=0)  # noqa: E731
    killed.wait_for(lambda: saved() > 100)
    assert killed.signal(signal.SIGKILL) == -signal.SIGKILL
    assert 100 < saved() < offline + steps
    if phase == "offline":
        assert main(words(tmp_path / "other", **settings)) == 0
    else:  # the episode that was running is lost, but what follows is the same each time
        shutil.copytree(tmp_path / "killed", tmp_path / "other")
        assert main(["train", "--resume", "--out", str(tmp_path / "other")]) == 0
    assert main(["train", "--resume", "--out", str(tmp_path / "killed")]) == 0
    one, other = (read_learner_state(checkpoints(tmp_path / name)[-1])[0] for name in ("killed", "other"))
    assert one["updates"] == other["updates"] >= offline
    parts = ("policy", "learned", *(("critic", "critic_target") if algorithm == "acfql" else ()))
    for part in parts:
        for name, value in one["algorithm"][part].items():
            assert torch.equal(value, other["algorithm"][part][name])


@pytest.mark.slow
def test_picking_up_a_cube_is_imitated_from_seven_demonstrations(tmp_path):
    out = tmp_path / "run"
    words = ["--algorithm", "bc", "--demos", "7", "--offline-steps", "1500", "--steps", "0", "--no-tensorboard"]
    words += ["--evaluation.episodes", "30", "--evaluation.quick-episodes", "1"]
    assert main(["train", "--out", str(out), *words]) == 0
    rows = read_metrics(out)
    assert sum(row["operator_steps"] for row in rows if row["kind"] == "episode") <= 220
    final = [row for row in rows if row["kind"] == "evaluation"][-1]
    assert final["purpose"] == "final"
    assert final["successes"] >= 25
