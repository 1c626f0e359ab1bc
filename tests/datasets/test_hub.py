import shutil
from types import SimpleNamespace

import pytest

from gym_hil.datasets import DatasetWriter, hub
from gym_hil.errors import ConfigurationError, DatasetError

huggingface_hub = pytest.importorskip("huggingface_hub")
REAL = huggingface_hub.HfApi


class FakeHub:
    """Stands for the Hub, which no test can reach; keeps the calls in order.

    Args:
        holds: folder whose files the repository holds; None if there is no such repository.
        tags: of the repository.
        fails: name of a call that fails.
    """

    def __init__(self, holds=None, tags=(), fails=None):
        self.calls, self._holds, self._tags, self._fails = [], holds, tags, fails

    def __getattr__(self, name):
        assert hasattr(REAL, name), f"the real one has no {name}"

        def call(**arguments):
            self.calls.append((name, arguments))
            if name == self._fails:
                raise ConnectionError("the connection is lost")
            return getattr(type(self), f"_{name}", lambda _, **__: None)(self, **arguments)

        return call

    def _files(self):
        return [path.relative_to(self._holds).as_posix() for path in self._holds.rglob("*") if path.is_file()]

    def _repo_exists(self, **_):
        return self._holds is not None

    def _list_repo_files(self, **_):
        return self._files()

    def _file_exists(self, filename, **_):
        return self._holds is not None and filename in self._files()

    def _snapshot_download(self, local_dir, **_):
        shutil.copytree(self._holds / "meta", f"{local_dir}/meta")

    def _list_repo_refs(self, **_):
        return SimpleNamespace(tags=[SimpleNamespace(name=tag) for tag in self._tags])

    def names(self):
        return [name for name, _ in self.calls]


@pytest.fixture
def fake_hub(monkeypatch):
    """Makes a fake Hub."""

    def make(**options):
        fake = FakeHub(**options)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
        return fake

    return make


def record(root, episodes, start=0):
    features = {"action": {"dtype": "float32", "shape": [1], "names": None}}
    with DatasetWriter(root, repo_id="me/demo", features=features, fps=10, resume=True) as writer:
        for number in range(episodes):
            writer.add_frame({"action": [start + number]}, "push")
            writer.save_episode()
    return root


@pytest.fixture
def dataset(tmp_path):
    return record(tmp_path / "data", 2)


def test_a_dataset_is_uploaded_with_a_card_and_the_formats_tag(fake_hub, dataset):
    (dataset / "notes.txt").write_text("mine")
    fake = fake_hub()
    assert hub.push_to_hub(dataset, "me/demo") == "https://huggingface.co/datasets/me/demo"
    calls = "repo_exists create_repo file_exists upload_file upload_folder list_repo_refs create_tag"
    assert fake.names() == calls.split()
    assert all(call["repo_id"] == "me/demo" and call["repo_type"] == "dataset" for _, call in fake.calls)
    arguments = dict(fake.calls)
    assert b"LeRobot" in arguments["upload_file"]["path_or_fileobj"]
    assert arguments["upload_folder"]["allow_patterns"] == [
        *(f"{name}/chunk-000/file-000.parquet" for name in ("meta/episodes", "data")),
        *(f"meta/{name}" for name in ("stats.json", "tasks.parquet", "info.json")),
        "README.md",
    ]
    assert arguments["create_tag"]["tag"] == "v3.0"


def test_a_continued_dataset_takes_the_place_of_its_beginning(fake_hub, dataset, tmp_path):
    uploaded = shutil.copytree(dataset, tmp_path / "uploaded")
    (uploaded / "README.md").write_text("a card")
    record(dataset, 1)
    fake = fake_hub(holds=uploaded, tags=["v3.0"])
    hub.push_to_hub(dataset, "me/demo")
    assert "upload_file" not in fake.names()
    assert fake.names()[-2:] == ["delete_tag", "create_tag"]
    deleted = dict(fake.calls)["upload_folder"]["delete_patterns"]
    assert "data/chunk-*/file-*.parquet" in deleted
    assert not any(pattern in ("data/**", "videos/**", "meta/**") for pattern in deleted)


@pytest.mark.parametrize(("episodes", "start"), [(2, 5), (3, 0), (0, 0)], ids=["other", "longer", "card only"])
def test_another_dataset_on_the_hub_is_replaced_only_on_request(fake_hub, dataset, tmp_path, episodes, start):
    there = record(tmp_path / "there", episodes, start)
    (there / "README.md").write_text("a card")
    if not episodes:
        shutil.rmtree(there / "meta")
    fake = fake_hub(holds=there)
    if episodes:
        with pytest.raises(DatasetError, match=r"me/demo .* already holds a dataset.*overwrite_on_hub=True"):
            hub.push_to_hub(dataset, "me/demo")
        assert "upload_folder" not in fake.names()
    hub.push_to_hub(dataset, "me/demo", overwrite_on_hub=episodes > 0)
    assert "upload_folder" in fake.names()


@pytest.mark.parametrize("call", ["create_repo", "upload_folder", "create_tag"])
def test_a_failed_upload_says_that_nothing_is_lost(fake_hub, dataset, call):
    fake_hub(fails=call)
    with pytest.raises(DatasetError, match=r"not uploaded as me/demo: the connection is lost. It is whole on this"):
        hub.push_to_hub(dataset, "me/demo")


def test_a_hub_that_does_not_answer_is_an_error_before_recording(fake_hub):
    fake_hub(fails="repo_exists")
    with pytest.raises(DatasetError, match=r"cannot be seen whether me/demo .* the connection is lost"):
        hub.check_upload(None, "me/demo")


@pytest.mark.parametrize("name", ["demo", "me/", "/demo", "me/demo/two", "me demo/x", "-me/x", ""])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(ConfigurationError, match="expected user/name"):
        hub.check_repo_id(name)


def test_a_missing_login_is_an_error(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(DatasetError, match="hf auth login"):
        hub.check_login()
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "token")
    hub.check_login()
