"""`gym-hil crop`, with regions as numbers and chosen in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from gym_hil.cli import main
from gym_hil.datasets.reader import EpisodeDataset
from tests.console.page import Loop, Page

SECONDS = 60.0  # until a test gives up waiting
FRONT, WRIST = "observation.images.front", "observation.images.wrist"


@contextlib.contextmanager
def started(dataset, out):
    """`gym-hil crop`, and the link that it prints."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    words = [sys.executable, "-c", "import sys; from gym_hil.cli import main; sys.exit(main())", "crop"]
    words += [str(dataset), "--out", str(out), "--port", "0"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        try:
            assert command.stderr is not None
            _, _, link = command.stderr.readline().strip().partition("Choose the regions: ")
            assert "ssh -N -L" in command.stderr.readline()
            yield command, link
        finally:
            command.kill()


@pytest.fixture
def open_page():
    """Opens the page that a link leads to."""
    loop = Loop()
    pages: list[Page] = []

    def open_page(link):
        address = urlsplit(link)
        pages.append(Page(loop, SimpleNamespace(port=address.port, token=address.query.removeprefix("token="))))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
    loop.close()


def test_regions_are_cut_out_and_printed_as_lerobot_wants_them(recorded, tmp_path, capsys):
    out = tmp_path / "new"
    command = ["crop", str(recorded), "--out", str(out), "--roi", "front=4,8,16,20", "--resize", "24", "24"]
    assert main(command) == 0
    output, _, _ = capsys.readouterr().out.rpartition(f"{out}:")
    assert json.loads(output) == {"crop_params_dict": {FRONT: [4, 8, 16, 20]}, "resize_size": [24, 24]}
    assert EpisodeDataset(out)[0].image(WRIST, 0).shape == (24, 24, 3)
    assert main(["replay", str(out), "--check"]) == 0


def test_without_the_extra_the_way_out_is_named(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    for module in ("gym_hil.cli.crop_page", "gym_hil.console.web_server"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new")]) == 1
    message = capsys.readouterr().err
    assert "--roi CAMERA=TOP,LEFT,HEIGHT,WIDTH" in message
    assert "pip install 'gym-hil[web]'" in message


def test_a_region_chosen_in_the_browser_is_cut_out(recorded, tmp_path, open_page):
    out = tmp_path / "new"
    with started(recorded, out) as (command, link):
        status, _ = open_page(link).post("/regions", json.dumps({FRONT: [8, 4, 22, 16]}))
        output, _ = command.communicate(timeout=SECONDS)
    assert (status, command.returncode) == (200, 0)
    assert json.loads(output.rpartition(f"{out}:")[0])["crop_params_dict"] == {FRONT: [8, 4, 22, 16]}
    assert EpisodeDataset(out).features[FRONT]["shape"] == [3, 22, 16]
    assert EpisodeDataset(out).features[WRIST]["shape"] == [3, 32, 32]


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_the_waiting_for_the_browser(recorded, tmp_path):
    with started(recorded, tmp_path / "new") as (command, _):
        command.send_signal(signal.SIGINT)
        output, problems = command.communicate(timeout=SECONDS)
    assert (command.returncode, output, problems.strip()) == (130, "", "")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_taken_is_said_before_anything_is_asked(recorded, own_copy, capsys):
    assert main(["crop", str(recorded), "--out", str(own_copy)]) == 1
    assert "already holds a dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--roi", "top=0,0,8,8"], "there is no camera 'top'; choose from front, wrist"),
        (["--roi", "front=0,0,8"], "'0,0,8' is not top,left,height,width"),
        (["--roi", "front=0,0,8,x"], "is not top,left,height,width"),
        (["--roi", "front=0,0,8,8", "--roi", f"{FRONT}=0,0,4,4"], "has a region already"),
        (["--roi", "front=0,0,40,8"], "is not inside the images"),
        (["--roi", "front=0,0,8,8", "--resize", "0", "8"], "--resize is [0, 8]"),
        (["--roi", "front=0,0,0,8"], "is empty"),
        (["--roi", "front=0,0,8,8", "--port", "8900", "--tls"], "--port, --tls: for choosing in the browser"),
        (["--allow-remote"], "--allow-remote --tls"),
    ],
)
def test_what_cannot_work_is_one_clear_line(recorded, tmp_path, arguments, said, capsys):
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new"), *arguments]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "new").exists()
