"""What a dataset says about itself, checked when it is opened: its `meta` folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_hil.datasets import tables
from gym_hil.datasets.layout import DATA, INFO, OWN, TASKS, VIDEO
from gym_hil.errors import DatasetError

# Columns of statistics that tell something about an episode without opening its frames.
TELLING = {
    "success": ("stats/next.success/max", "stats/next.reward/max"),
    "interventions": ("stats/complementary_info.is_intervention/mean",),
}


@dataclass(frozen=True)
class EpisodeRecord:
    """What a dataset knows about an episode.

    Attributes:
        index: its number.
        length: frames.
        tasks: what the robot was told to do.
        success: how it ended: as recorded by this package, else whether a frame has `next.success`, else whether one
            has a reward of 1 or more; None if there is nothing to tell by.
        seed: of the reset, if this package recorded it.
        options: of the reset, likewise.
        interventions: share of the frames in which an operator acted; None if that was not recorded.
        row: of `meta/episodes`, without statistics: where the frames and videos are.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    success: bool | None
    seed: int | None
    options: dict[str, Any] | None
    interventions: float | None
    row: dict[str, Any]

    @property
    def task(self) -> str:
        """What the robot was told to do; of several tasks the first."""
        return self.tasks[0] if self.tasks else ""


@dataclass(frozen=True)
class Description:
    """The `meta` folder.

    Attributes:
        info: `meta/info.json`.
        tasks: what the robot was told to do, in the order of their numbers.
        episodes: in the order of their numbers.
    """

    info: dict[str, Any]
    tasks: tuple[str, ...]
    episodes: tuple[EpisodeRecord, ...]

    def place(self, template: str, **at: Any) -> str:
        """Where a file is, by a template of `meta/info.json`.

        Args:
            template: "data_path" or "video_path".
            **at: `chunk_index`, `file_index` and `video_key`.

        Raises:
            DatasetError: the template cannot be filled in.
        """
        text = self.info.get(template) or {"data_path": DATA, "video_path": VIDEO}[template]
        try:
            return str(text.format(**at))
        except (AttributeError, LookupError, ValueError) as error:
            raise DatasetError(f"{INFO}: {template} is {text!r}, which cannot be filled in: {error!r}.") from error


def read_description(root: Path) -> Description:
    """Read and check the `meta` folder of a dataset.

    The rows of `meta/episodes` decide which episodes there are: where a recorder was killed, `meta/info.json` may count
    one less.

    Raises:
        DatasetError: the folder is no dataset, one of another version, or not whole.
    """
    info = _read_info(root)
    files = sorted(root.glob("meta/episodes/*/*.parquet"))
    records = [record for path in files for record in _read_records(path)]
    records.sort(key=lambda record: record.index)
    if [record.index for record in records] != list(range(len(records))):
        raise DatasetError(f"{root / 'meta/episodes'} does not list each episode once, from 0 on. {_RESTORE}")
    if len(records) < info.get("total_episodes", 0):
        raise DatasetError(
            f"{root / INFO} counts {info['total_episodes']} episodes, but meta/episodes lists {len(records)}. "
            f"{_RESTORE}"
        )
    tasks = _read_tasks(root / TASKS) if records else ()
    return Description(info, tasks, tuple(records))


def _read_info(root: Path) -> dict[str, Any]:
    path = root / INFO
    if not path.is_file():
        what = "has no meta/info.json" if root.is_dir() else "is a file" if root.exists() else "does not exist"
        raise DatasetError(
            f"{root} is not a LeRobot dataset: it {what}. Name the folder in which `meta` and `data` are."
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version = str(info["codebase_version"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read: {error!r}. {_RESTORE}") from error
    if version.startswith(("v1.", "v2.")):
        raise DatasetError(
            f"{root} has version {version} of LeRobot's format; only v3.0 is read. Convert it: "
            "python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=USER/NAME"
        )
    if not version.startswith("v3."):
        raise DatasetError(f"{root} has version {version!r} of LeRobot's format; only v3.0 is read.")
    fps, features = info.get("fps"), info.get("features")
    if not isinstance(fps, (int, float)) or not fps > 0:
        raise DatasetError(f"{path}: fps is {fps!r}; expected frames per second, more than 0. {_RESTORE}")
    if not isinstance(features, dict) or not all(
        isinstance(feature, dict) and {"dtype", "shape"} <= feature.keys() for feature in features.values()
    ):
        raise DatasetError(f"{path}: features is {features!r}; expected dtype and shape for each. {_RESTORE}")
    return dict(info)


def _read_tasks(path: Path) -> tuple[str, ...]:
    table = tables.read(path)
    # The words are the index of a pandas table, which has a name in some versions of LeRobot and none in others.
    words = [name for name in table.column_names if name != "task_index"]
    if len(words) != 1 or "task_index" not in table.column_names:
        raise DatasetError(
            f"{path} has the columns {table.column_names}; expected task_index and the tasks. {_RESTORE}"
        )
    return tuple(table.sort_by("task_index")[words[0]].to_pylist())


def _read_records(path: Path) -> list[EpisodeRecord]:
    table = tables.read(path)
    telling = {name for names in TELLING.values() for name in names}
    wanted = [name for name in table.column_names if not name.startswith("stats/") or name in telling]
    try:
        return [_record(row) for row in table.select(wanted).to_pylist()]
    except (LookupError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} does not describe episodes: {error!r}. {_RESTORE}") from error


def _record(row: dict[str, Any]) -> EpisodeRecord:
    success, options = row.pop(f"{OWN}/success", None), row.pop(f"{OWN}/options", None)
    seed = row.pop(f"{OWN}/seed", None)
    by = {what: [row.pop(name, None) for name in names] for what, names in TELLING.items()}
    if success is None:
        success = next((bool(values[0] >= 1) for values in by["success"] if values), None)
    share = by["interventions"][0]
    return EpisodeRecord(
        index=int(row["episode_index"]),
        length=int(row["length"]),
        tasks=tuple(row.get("tasks") or ()),
        success=success,
        seed=seed,
        options=None if options is None else json.loads(options),
        interventions=float(share[0]) if share else None,
        row=row,
    )


_RESTORE = "Fetch the dataset again from where it came from."
