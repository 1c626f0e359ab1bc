"""Recording from the command line, by the scripted operator and by keys typed into a terminal."""

import contextlib
import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from gym_hil.cli import main
from gym_hil.datasets import EpisodeDataset
from gym_hil.teleop import Button, InputDevice
from gym_hil.teleop.keyboard_terminal import COUNTED_RELEASE_AFTER
from tests.datasets import reading
from tests.terminal import COMMAND, PATIENCE, TerminalProgram


@pytest.fixture
def record(tmp_path):
    """Runs `gym-hil record` with the scripted operator; state-only, so that it is quick."""

    def run(*words, images=False, root="data"):
        words = [*words, *([] if images else ["--no-images"])]
        root = str(tmp_path / root)
        return main(["record", "--repo-id", "me/demo", "--root", root, "--device", "scripted", "--seed", "0", *words])

    return run


def test_episodes_are_recorded_told_and_shown(record, tmp_path, capsys):
    assert record("--task", "PandaPickCube", "--episodes", "3", images=True) == 0
    output = capsys.readouterr().out
    assert "episode 1 of 3: success after" in output
    assert "3 of 3 succeeded" in output
    assert "steps/s" in output
    assert "left" in output
    assert "3 episodes, 3 of them successes" in output
    dataset = EpisodeDataset(tmp_path / "data")
    assert [episode.record.success for episode in dataset] == [True] * 3
    assert dataset.tasks == ("pick cube",)
    with Image.open(tmp_path / "data/contact_sheet.png") as sheet:
        assert np.asarray(sheet).std() > 20


def test_recording_goes_on_only_when_told_to(record, tmp_path, capsys):
    assert record("--episodes", "2") == 0
    before = reading.files(tmp_path / "data")
    assert record("--episodes", "1") == 1
    message = capsys.readouterr().err
    assert "already holds a dataset. Add to it with --resume, delete it with --overwrite" in message
    assert reading.files(tmp_path / "data") == before
    assert record("--episodes", "1", "--resume") == 0
    assert len({row["gym_hil/seed"] for row in reading.rows(tmp_path / "data")}) == 3
    assert record("--episodes", "1", "--overwrite") == 0
    assert len(reading.rows(tmp_path / "data")) == 1


def test_frames_after_success_are_recorded(record, tmp_path):
    assert record("--episodes", "1", "--steps-after-success", "4") == 0
    (row,) = reading.rows(tmp_path / "data")
    assert reading.frames(tmp_path / "data", row)["next.success"].sum() == 5


def test_another_task_and_other_words_for_it(record, tmp_path):
    words = ["--task", "PandaPickCube-v0", "--instruction", "lift the purple cube", "--episodes", "1"]
    assert record(*words) == 0
    assert reading.rows(tmp_path / "data")[0]["tasks"] == ["lift the purple cube"]
    assert reading.info(tmp_path / "data")["gym_hil"]["env_id"] == "gym_hil/PandaPickCube-v0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episodes", "0"], "--episodes is 0"),
        (["--repo-id", "demo"], "expected user/name"),
        (["--task", "PandaJuggle"], "no task 'PandaJuggle'"),
        (["--device", "violin"], "no device 'violin'"),
        (["--steps-after-success", "-1"], "steps_after_success is -1"),
        (["--countdown", "-1"], "--countdown is -1"),
        (["--resume", "--overwrite"], "either continued or deleted"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_recorded(record, tmp_path, capsys, words, message):
    assert record(*words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_push_without_login_is_told_before_anything_is_recorded(record, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert record("--push-to-hub") == 1
    assert "hf auth login" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_dataset_is_pushed_at_the_end(record, tmp_path, capsys, monkeypatch):
    pushed = []
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    monkeypatch.setattr("gym_hil.cli.record.check_upload", lambda *what: pushed.append(what))
    monkeypatch.setattr(
        "gym_hil.cli.record.push_to_hub", lambda *what, **how: pushed.append((*what, how)) or "https://a"
    )
    assert record("--push-to-hub", "--episodes", "1") == 0
    assert record("--push-to-hub", "--episodes", "1", "--resume") == 0
    push = (tmp_path / "data", "me/demo", {"overwrite_on_hub": False})
    assert pushed == [(None, "me/demo"), push, (tmp_path / "data", "me/demo"), push]
    assert "uploaded to https://a" in capsys.readouterr().out


def test_a_damaged_old_file_is_a_warning_and_nothing_else(record, tmp_path, capsys, monkeypatch):
    pushed = []
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    monkeypatch.setattr("gym_hil.cli.record.check_upload", lambda *what: None)
    monkeypatch.setattr("gym_hil.cli.record.push_to_hub", lambda *what, **how: pushed.append(what) or "https://a")
    assert record("--episodes", "1", images=True) == 0
    path = tmp_path / "data/videos/observation.images.front/chunk-000/file-000.mp4"
    path.write_bytes(path.read_bytes()[:500])
    capsys.readouterr()
    assert record("--episodes", "1", "--resume", "--push-to-hub", images=True) == 0
    captured = capsys.readouterr()
    assert f"warning: no contact sheet: {path} cannot be read" in captured.err
    assert len(pushed) == 1
    assert main(["dataset", "info", str(tmp_path / "data"), "--check"]) == 1
    assert str(path) in capsys.readouterr().err


def test_a_contact_sheet_is_not_written_through_a_link(record, tmp_path):
    assert record("--episodes", "1", images=True) == 0
    sheet, blob = tmp_path / "data/contact_sheet.png", tmp_path / "blob"
    sheet.rename(blob)
    sheet.symlink_to(blob)
    before = blob.read_bytes()
    assert record("--episodes", "1", "--resume", images=True) == 0
    assert blob.read_bytes() == before
    assert not sheet.is_symlink()


def test_episodes_of_two_tasks_are_replayed_each_in_its_own(record, tmp_path, capsys):
    assert record("--episodes", "1", "--task", "PandaPickCube-v0") == 0
    assert record("--episodes", "1", "--task", "PandaPickCube-v1", "--instruction", "lift it", "--resume") == 0
    dataset = EpisodeDataset(tmp_path / "data")
    assert dataset.tasks == ("pick cube", "lift it")
    assert [one.metadata["env_id"] for one in dataset.episodes] == [f"gym_hil/PandaPickCube-v{k}" for k in (0, 1)]
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "data"), "--check"]) == 0
    assert "2 of 2 end as recorded, 2 in success; largest TCP deviation 0 m" in capsys.readouterr().out
    assert main(["dataset", "info", str(tmp_path / "data")]) == 0
    assert "recorded in gym_hil/PandaPickCube-v1 with" in capsys.readouterr().out


def test_another_name_for_a_dataset_that_is_continued_is_refused(record, tmp_path, capsys):
    assert record("--episodes", "1") == 0
    assert record("--episodes", "1", "--resume", "--repo-id", "me/other") == 1
    assert "is the dataset me/demo, not me/other" in capsys.readouterr().err


def test_an_interrupt_before_the_first_episode_leaves_nothing_in_the_way(record, tmp_path, monkeypatch):
    with monkeypatch.context() as patches:
        patches.setattr("gym_hil.cli.record.control_steps", interrupt)
        assert record("--episodes", "1") == 130
    assert record("--episodes", "1") == 0
    assert len(reading.rows(tmp_path / "data")) == 1


def interrupt(*_):
    raise KeyboardInterrupt


def test_paths_and_instructions_in_any_script_are_recorded(tmp_path):
    """In a locale that does not know them, nothing is lost; what the terminal cannot show is escaped."""
    root, instruction = tmp_path / "donn\u00e9es", "prends le cube \u7acb"
    words = ["record", "--repo-id", "me/demo", "--root", str(root), "--device", "scripted", "--episodes", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [*COMMAND, *words, "--no-images", "--instruction", instruction],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert reading.rows(root)[0]["tasks"] == [instruction]
    assert b"donn\\xe9es: 1 episode" in done.stdout


@pytest.fixture
def terminal(tmp_path):
    """`gym-hil record` in a terminal of its own, driven by keys."""
    words = ["record", "--repo-id", "me/demo", "--root", str(tmp_path / "data"), "--device", "keyboard", "--no-viewer"]
    with contextlib.closing(TerminalProgram(*COMMAND, *words, "--no-images", "--episodes", "2")) as program:
        yield program


def test_an_operator_at_the_keys_starts_keeps_deletes_and_quits(terminal, tmp_path):
    terminal.wait_for("waiting for the operator")
    terminal.type(" ")
    terminal.wait_for("ready: move to start")
    terminal.type("w")
    terminal.wait_for("operator drives")
    terminal.type("r")
    terminal.wait_for("episode 1 discarded")
    for what in ("episode 1 deleted", "kept in"):
        terminal.wait_for("take over and move to start")
        terminal.type(" ")
        terminal.wait_for("ready: move to start")
        terminal.type("w")
        terminal.wait_for("episode 1 of 2: step")
        terminal.type("\r")
        terminal.wait_for("episode 1 of 2: success")
        if what == "episode 1 deleted":
            terminal.press_twice("x", "press again to delete the last episode", COUNTED_RELEASE_AFTER + 0.1)
        terminal.wait_for(what)
    terminal.wait_for("take over and move to start")
    terminal.press_twice("p", "press again to quit", COUNTED_RELEASE_AFTER + 0.1)
    terminal.wait_for("1 episode, 1 of them successes")
    assert terminal.process.wait(PATIENCE) == 0
    (row,) = reading.rows(tmp_path / "data")
    columns = reading.frames(tmp_path / "data", row)
    assert columns["next.reward"].tolist() == [0.0] * (row["length"] - 1) + [1.0]
    assert columns["complementary_info.is_intervention"].all()  # no frame before the first motion


class Passive(InputDevice):
    """A human who is there and does nothing in the first episode, and marks every other one as a success."""

    episodes = 0

    def __init__(self):
        super().__init__(intervention="auto")

    def reset(self):
        super().reset()
        self.episodes += 1
        self.inputs.tap(Button.FAILURE)  # there

    def poll(self):
        if self.episodes > 1:
            self.inputs.press(Button.FORWARD)
            self.inputs.tap(Button.SUCCESS)
        return super().poll()


def test_an_episode_that_the_operator_did_not_drive_is_not_kept_unless_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gym_hil.wrappers.intervention.TIME_TO_GET_READY", 0.0)
    monkeypatch.setattr("gym_hil.teleop.session.DECISION_SECONDS", 0.0)
    monkeypatch.setattr("gym_hil.teleop.session.LAST_DECISION_SECONDS", 0.0)
    words = ["record", "--repo-id", "me/demo", "--device", f"{__name__}:Passive", "--no-viewer", "--no-images"]
    words += ["--episodes", "1", "--countdown", "0", "--max-episode-steps", "3"]
    assert main([*words, "--root", str(tmp_path / "driven")]) == 0
    assert "episode 1 not kept, as the operator did not drive" in capsys.readouterr().out
    assert reading.rows(tmp_path / "driven")[0]["gym_hil/success"]
    assert main([*words, "--root", str(tmp_path / "all"), "--keep-undriven"]) == 0
    (row,) = reading.rows(tmp_path / "all")
    assert (row["length"], row["gym_hil/success"]) == (3, False)


def test_force_and_torque_are_recorded_under_the_name_that_lerobot_reads(record, tmp_path):
    assert record("--episodes", "1", "--force-torque", "--orientation") == 0
    (episode,) = EpisodeDataset(tmp_path / "data")
    columns = episode.numbers()
    assert columns["observation.force_torque"].shape[1:] == (6,)
    assert columns["action"].shape[1:] == (7,)
    assert episode.record.metadata["env_kwargs"]["force_torque_obs"] is True


def test_force_and_torque_of_an_environment_of_others_are_refused(tmp_path, capsys):
    words = ["--env", "Pendulum-v1", "--action-map", "x=0", "--device", "scripted", "--force-torque"]
    assert main(["record", "--repo-id", "me/demo", "--root", str(tmp_path / "data"), *words]) == 1
    assert "--force-torque is for tasks of gym_hil" in capsys.readouterr().err
