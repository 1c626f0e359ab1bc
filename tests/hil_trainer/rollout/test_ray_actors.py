"""On Ray, actors and a learner that are killed are started again, others may join, and nothing is left in the end.

One training is disturbed in all these ways, and each test looks at what it has written.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import time

import pytest

pytest.importorskip("ray", reason="needs the extra `ray`")
import psutil

from hil_trainer.checkpoints import checkpoints, read_run_state
from hil_trainer.logging.metrics import read_metrics

TRAIN = """
import sys
from pathlib import Path
from hil_trainer.cli.train import parse
from hil_trainer.train import Training

arguments = parse(sys.argv[1:])
training = Training(arguments.settings, arguments.out, resume=arguments.resume)
try:
    training.run()
finally:
    training.close()
"""
COMMAND = "import sys; from hil_trainer.cli import main; sys.exit(main())"


class Run:
    """A training in a process of its own, and all processes that it has started."""

    def __init__(self, directory, *words, environment):
        self.directory, self.environment = directory, environment
        command = [sys.executable, "-c", TRAIN, "--out", str(directory), *words]
        self.process = subprocess.Popen(command, env=environment)
        self._tree = psutil.Process(self.process.pid)
        self.seen = set()
        self._known = 0  # events that were waited for, and those before

    def events(self):
        return [row["text"] for row in self._rows() if row["kind"] == "event"]

    def until_event(self, part):
        """Wait for an event after the one that was waited for last."""

        def found():
            return [end for end, text in enumerate(self.events(), 1) if end > self._known and part in text]

        self._until(found, part)
        self._known = found()[0]

    def until_further(self, episodes):
        """Wait until some more episodes have ended."""

        def ended():
            return sum(row["kind"] == "episode" for row in self._rows())

        wanted = ended() + episodes
        self._until(lambda: ended() >= wanted, f"{episodes} more episodes")

    def find(self, name):
        """The processes of something that Ray runs; it gives them this title."""
        self.seen.update(self._tree.children(recursive=True))
        return [child for child in self.seen if child.is_running() and _title(child).startswith(f"ray::{name}")]

    def end(self):
        """Kill what is still there."""
        with contextlib.suppress(psutil.Error):
            self.find("")
            self._tree.kill()
        for process in self.seen:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait()

    def left(self):
        """The processes that are still there a while after the end."""
        _, left = psutil.wait_procs(self.seen, timeout=20)
        return [child for child in left if child.status() != psutil.STATUS_ZOMBIE]

    def _rows(self):
        return read_metrics(self.directory) if (self.directory / "metrics.jsonl").exists() else []

    def _until(self, holds, what):
        while not holds():
            assert self.process.poll() is None, f"the training ended before there was {what}: {self.events()}"
            time.sleep(0.1)


def _title(process):
    try:
        return "".join(process.cmdline()[:1])
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory):
    """A training in which everything happens, until Ctrl-C."""
    folder = tmp_path_factory.mktemp("ray")
    words = (
        "--ray --actors 2 --ray.helped-actors 1 --demos 1 --steps 1000000 --checkpoint-seconds 2 --threads 1 "
        "--no-tensorboard --operator.min-help-fraction 1 --agent.utd-ratio 1 --agent.batch-size 16 --agent.width 16 "
        "--agent.buffer-capacity 5000 --evaluation.every 1000000000 --evaluation.episodes 1"
    )
    environment = os.environ | {
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    run = Run(folder / "run", *words.split(), environment=environment)
    with contextlib.ExitStack() as stack:
        stack.callback(run.end)
        for _ in range(2):
            run.until_event("has joined")
        address = run.events()[0].split()[-1]
        run.find("_ActorWorker")[0].kill()
        run.until_event("died and was started again")
        run.until_further(3)

        join = [sys.executable, "-c", COMMAND, "join", address]
        run.refused = subprocess.run([*join, "--run", "other"], env=environment, capture_output=True, text=True)
        joiner = stack.enter_context(subprocess.Popen(join, env=environment, stdout=subprocess.PIPE, text=True))
        stack.callback(joiner.kill)
        name = joiner.stdout.readline().split()[0]
        run.until_event(f"{name} has joined")

        run.find("LearnerActor")[0].kill()
        run.until_event("the learner was started again")
        run.until_further(3)
        joiner.send_signal(2)
        run.joiner = joiner.wait()
        run.until_event(f"{name} has left")
        run.find("")
        run.process.send_signal(2)
        run.status = run.process.wait()
        yield run


def test_an_actor_that_is_killed_is_started_again(disturbed):
    events = disturbed.events()
    assert sum("died and was started again" in text for text in events) == 1
    assert not any(text.startswith("actor-") and "has left" in text for text in events)


def test_a_learner_that_is_killed_is_started_again_from_the_newest_checkpoint(disturbed):
    (text,) = [text for text in disturbed.events() if "the learner was started again" in text]
    assert text.startswith("the learner was started again from step_")


def test_others_join_late_and_leave_when_they_like(disturbed):
    assert disturbed.joiner == 0
    assert disturbed.refused.returncode == 1
    assert disturbed.refused.stderr == ("hil-trainer join: Trainings on this Ray: run. Choose one with --run.\n")


def test_steps_and_the_operators_are_counted_over_all_actors(disturbed):
    rows = read_metrics(disturbed.directory)
    steps = [row["step"] for row in rows if row["kind"] == "learning"]
    assert steps == sorted(steps)
    episodes = [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]
    (again,) = [row for row in rows if "the learner was started again" in row.get("text", "")]
    assert sum(row["length"] for row in episodes if row["time"] <= again["time"]) <= again["step"]
    # Steps that the learner took with it when it was killed are part of the episode that each actor was in.
    lost = 3 * max(row["length"] for row in episodes)
    assert sum(row["length"] for row in episodes) <= rows[-1]["step"] + lost
    assert any(row["operator_steps"] for row in episodes)
    assert not all(row["operator_steps"] for row in episodes)
    staleness = [row["staleness"] for row in rows if row["kind"] == "learning"]
    assert max(staleness[:1]) <= 3 * 2 * 10 + 10


def test_ctrl_c_leaves_a_checkpoint_and_no_process(disturbed):
    assert disturbed.left() == []
    assert disturbed.events()[-1].startswith("stopped by Ctrl-C")
    newest = read_run_state(checkpoints(disturbed.directory)[-1])
    assert newest["step"] >= read_metrics(disturbed.directory)[-1]["step"]


def test_it_is_resumed_on_ray_and_ends_by_itself(disturbed):
    step = read_metrics(disturbed.directory)[-1]["step"]
    run = Run(disturbed.directory, "--resume", "--steps", str(step + 200), environment=disturbed.environment)
    run.until_event("resumed from")
    run.until_further(1)
    run.find("")
    assert run.process.wait() == 0
    assert run.left() == []
    last = [row for row in read_metrics(disturbed.directory) if row["kind"] == "evaluation"][-1]
    assert last["step"] >= step + 200
