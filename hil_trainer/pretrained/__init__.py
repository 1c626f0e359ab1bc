"""Trained policies that come with the package, by name. Written by `python -m benchmarks.pretrained`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
INDEX = FOLDER / "policies.json"


@dataclass(frozen=True)
class PretrainedPolicy:
    """A trained policy of the package, and where it comes from."""

    name: str  # under which it is loaded
    task: str  # that it was trained for, with its version
    observation: str  # what it sees of the task, in words
    successes: int  # in episodes whose seeds chose nothing
    episodes: int  # number of these episodes
    seed: int  # of the first one; the others count up from it
    steps_per_episode: float  # mean of these episodes
    operator_steps: int  # that the scripted operator drove for it, demonstrations included
    trained_by: str  # command that trained it
    sha256: str  # of its file

    @property
    def file(self) -> Path:
        """The policy file."""
        return FOLDER / f"{self.name}.safetensors"


def pretrained_policies() -> dict[str, PretrainedPolicy]:
    """All of them, by name."""
    index: dict[str, dict[str, Any]] = json.loads(INDEX.read_text(encoding="utf-8"))
    return {name: PretrainedPolicy(name, **entry) for name, entry in index.items()}


def find_pretrained(name: str) -> Path | None:
    """The file of the policy of a name; None if there is none."""
    policy = pretrained_policies().get(name)
    return None if policy is None else policy.file
