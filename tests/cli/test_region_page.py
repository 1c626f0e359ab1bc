"""The page that asks for regions: when it begins, and how it ends."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

from gym_hil.cli.region_page import RegionPage, choose_regions_on_page
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError, DatasetError, DeviceError

FRONT = "observation.images.front"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_link_is_printed_and_the_port_is_free_again_at_the_end(
    lerobot_pick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    port = free_port()
    monkeypatch.setattr(RegionPage, "wait", lambda page: {FRONT: Region(0, 0, 8, 8)})
    assert choose_regions_on_page(EpisodeDataset(lerobot_pick), port=port) == {FRONT: Region(0, 0, 8, 8)}
    printed = capsys.readouterr()
    assert printed.err.startswith(f"Choose the regions: http://127.0.0.1:{port}/?token=")
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in printed.err
    assert printed.out == ""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_ctrl_c_ends_the_waiting_and_frees_the_port(lerobot_pick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()

    def interrupted(page: RegionPage) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RegionPage, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        choose_regions_on_page(EpisodeDataset(lerobot_pick), port=port)
    RegionPage(EpisodeDataset(lerobot_pick), port=port).close()


def test_waiting_ends_with_the_server(lerobot_pick: Path) -> None:
    page = RegionPage(EpisodeDataset(lerobot_pick), port=0)
    threading.Thread(target=page.close).start()
    with pytest.raises(DeviceError, match="before the regions were confirmed"):
        page.wait()


def test_images_that_cannot_be_read_are_said_before_anybody_is_asked(own_copy: Path) -> None:
    for video in own_copy.glob("videos/*/*/*.mp4"):
        video.write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"\.mp4"):
        RegionPage(EpisodeDataset(own_copy), port=0)


def test_other_machines_are_let_in_only_on_purpose_and_encrypted(lerobot_pick: Path) -> None:
    with pytest.raises(ConfigurationError, match="--allow-remote --tls"):
        RegionPage(EpisodeDataset(lerobot_pick), host="0.0.0.0")
