"""Reward classifier: recognises success in camera images and proprioception, where no simulator does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_hil.errors import MissingExtraError

if TYPE_CHECKING:
    from hil_trainer.reward_classifier.evaluation import evaluate_classifier
    from hil_trainer.reward_classifier.model import (
        ClassifierShape,
        RewardClassifier,
        load_classifier,
        save_classifier,
    )
    from hil_trainer.reward_classifier.relabel import classifier_rewards, relabel_with_classifier
    from hil_trainer.reward_classifier.success import ClassifierSuccess
    from hil_trainer.reward_classifier.training import TrainingSettings, train_classifier

__all__ = [
    "ClassifierShape",
    "ClassifierSuccess",
    "RewardClassifier",
    "TrainingSettings",
    "classifier_rewards",
    "evaluate_classifier",
    "load_classifier",
    "relabel_with_classifier",
    "save_classifier",
    "train_classifier",
]

# Name -> the module it comes from, which is imported when the name is first used: training needs more than inference.
_MODULES = {
    "ClassifierShape": "model",
    "ClassifierSuccess": "success",
    "RewardClassifier": "model",
    "TrainingSettings": "training",
    "classifier_rewards": "relabel",
    "evaluate_classifier": "evaluation",
    "load_classifier": "model",
    "relabel_with_classifier": "relabel",
    "save_classifier": "model",
    "train_classifier": "training",
}
_EXTRA = ("matplotlib", "safetensors", "sklearn", "torch")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise MissingExtraError(f"The reward classifier needs {error.name}: pip install 'gym-hil[train]'") from error
