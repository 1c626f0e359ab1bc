"""Tells from images and proprioception whether the task is done: a reward where no simulator gives one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_hil.errors import MissingExtraError

if TYPE_CHECKING:
    from hil_trainer.reward_classifier.evaluating import evaluate_classifier
    from hil_trainer.reward_classifier.model import ClassifierShape, RewardClassifier
    from hil_trainer.reward_classifier.relabelling import classifier_rewards, relabel_with_classifier
    from hil_trainer.reward_classifier.storage import load_classifier, save_classifier
    from hil_trainer.reward_classifier.training import TrainingSettings, train_classifier

__all__ = [
    "ClassifierShape",
    "RewardClassifier",
    "TrainingSettings",
    "classifier_rewards",
    "evaluate_classifier",
    "load_classifier",
    "relabel_with_classifier",
    "save_classifier",
    "train_classifier",
]

# Imported when first asked for: a classifier runs with torch, safetensors and numpy alone; training needs more.
_HOMES = {
    "ClassifierShape": "model",
    "RewardClassifier": "model",
    "TrainingSettings": "training",
    "classifier_rewards": "relabelling",
    "evaluate_classifier": "evaluating",
    "load_classifier": "storage",
    "relabel_with_classifier": "relabelling",
    "save_classifier": "storage",
    "train_classifier": "training",
}
_EXTRA = ("matplotlib", "safetensors", "torch")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise MissingExtraError(f"The reward classifier needs {error.name}: pip install 'gym-hil[train]'") from error
