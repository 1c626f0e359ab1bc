from types import SimpleNamespace

import pytest

from gym_hil.datasets import hub
from gym_hil.errors import ConfigurationError, DatasetError

huggingface_hub = pytest.importorskip("huggingface_hub")
REAL = huggingface_hub.HfApi


class FakeApi:
    """Stands for the Hub, which no test can reach; keeps what it was asked, in order."""

    def __init__(self, tags=(), files=(), fails=None):
        self.asked, self._tags, self._files, self._fails = [], tags, files, fails

    def __getattr__(self, name):
        assert hasattr(REAL, name), f"the real one has no {name}"

        def ask(**arguments):
            self.asked.append((name, arguments))
            if name == self._fails:
                raise ConnectionError("the wire is cut")
            if name == "file_exists":
                return arguments["filename"] in self._files
            if name == "list_repo_refs":
                return SimpleNamespace(tags=[SimpleNamespace(name=tag) for tag in self._tags])
            return None

        return ask

    def names(self):
        return [name for name, _ in self.asked]


@pytest.fixture
def api(monkeypatch):
    """Makes a fake Hub."""

    def make(**options):
        fake = FakeApi(**options)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
        return fake

    return make


def test_a_dataset_is_uploaded_with_a_card_and_the_formats_tag(api, tmp_path):
    fake = api()
    assert hub.push_to_hub(tmp_path, "me/demo") == "https://huggingface.co/datasets/me/demo"
    steps = ["create_repo", "file_exists", "upload_file", "upload_folder", "list_repo_refs", "create_tag"]
    assert fake.names() == steps
    assert all(what["repo_id"] == "me/demo" and what["repo_type"] == "dataset" for _, what in fake.asked)
    what = dict(fake.asked)
    assert b"LeRobot" in what["upload_file"]["path_or_fileobj"]
    assert what["upload_folder"]["ignore_patterns"] == [".recording/**"]
    assert what["create_tag"]["tag"] == "v3.0"


def test_an_older_upload_is_replaced_and_its_card_kept(api, tmp_path):
    fake = api(tags=["v3.0"], files=["README.md"])
    hub.push_to_hub(tmp_path, "me/demo")
    assert "upload_file" not in fake.names()
    assert fake.names()[-2:] == ["delete_tag", "create_tag"]
    assert "data/**" in dict(fake.asked)["upload_folder"]["delete_patterns"]


@pytest.mark.parametrize("step", ["create_repo", "upload_folder", "create_tag"])
def test_a_failed_upload_says_that_nothing_is_lost(api, tmp_path, step):
    api(fails=step)
    with pytest.raises(DatasetError, match=r"not uploaded as me/demo: the wire is cut. It is whole on this disk"):
        hub.push_to_hub(tmp_path, "me/demo")


@pytest.mark.parametrize("name", ["demo", "me/", "/demo", "me/demo/two", "me demo/x", "-me/x", ""])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(ConfigurationError, match="expected user/name"):
        hub.check_repo_id(name)


@pytest.mark.parametrize("name", ["me/demo", "My-Team/pick_cube.v2"])
def test_names_that_can_be_are_taken(name):
    hub.check_repo_id(name)


def test_nobody_logged_in_is_told(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(DatasetError, match="hf auth login"):
        hub.check_login()
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "token")
    hub.check_login()
