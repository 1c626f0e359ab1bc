import numpy as np
import pytest
from PIL import Image

from gym_hil.datasets import DatasetWriter, EpisodeDataset
from gym_hil.datasets.images import SHEET_IMAGE, write_contact_sheet
from gym_hil.errors import DatasetError

SIDE = 16
FEATURES = {
    "next.success": {"dtype": "bool", "shape": [1], "names": None},
    "observation.images.front": {"dtype": "video", "shape": [3, SIDE, SIDE], "names": None},
}


def dataset(root, episodes, features=FEATURES):
    """Episodes of three frames: the first is dark, the last is light."""
    with DatasetWriter(root, repo_id="me/sheet", features=features, fps=10) as writer:
        for _ in range(episodes):
            for shade in (40, 120, 200):
                frame = {
                    "next.success": shade == 200,
                    "observation.images.front": np.full((SIDE, SIDE, 3), shade, np.uint8),
                }
                writer.add_frame({key: frame[key] for key in features}, "look")
            writer.save_episode()
    return EpisodeDataset(root)


def test_each_episode_shows_its_first_middle_and_last_image(tmp_path):
    assert write_contact_sheet(dataset(tmp_path / "data", 1), tmp_path / "sheet.png") == 1
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("L"), dtype=int)
    row = pixels[pixels.shape[0] // 2 + 10]
    for index, shade in enumerate((40, 120, 200)):
        assert abs(row[15 + index * SHEET_IMAGE + SHEET_IMAGE // 2] - shade) < 6


def test_the_sheet_grows_with_the_episodes_up_to_a_number(tmp_path, monkeypatch):
    made = dataset(tmp_path / "data", 5)
    assert write_contact_sheet(made, tmp_path / "sheet.png") == 5
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 3 * SHEET_IMAGE
    monkeypatch.setattr("gym_hil.datasets.images.SHEET_EPISODES", 2)
    assert write_contact_sheet(made, tmp_path / "sheet.png") == 2
    with pytest.raises(DatasetError, match="cannot be written"):
        write_contact_sheet(made, tmp_path / "missing" / "sheet.png")


@pytest.mark.parametrize(
    ("episodes", "features", "message"),
    [(0, FEATURES, "no episodes"), (1, {"next.success": FEATURES["next.success"]}, "no images")],
)
def test_nothing_to_show_is_an_error(tmp_path, episodes, features, message):
    with pytest.raises(DatasetError, match=message):
        write_contact_sheet(dataset(tmp_path / "data", episodes, features), tmp_path / "sheet.png")
