"""Reward classifier: recognises success in camera images and proprioception, where no simulator does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_hil.errors import MissingExtraError

if TYPE_CHECKING:
    from hil_trainer.reward_classifier.evaluation import evaluate_classifier
    from hil_trainer.reward_classifier.examples import classifier_rewards
    from hil_trainer.reward_classifier.model import ClassifierShape, RewardClassifier, load_classifier, save_classifier
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
    "save_classifier",
    "train_classifier",
]
# The module of each that is not in `model`; imported when the name is first used: training needs more than inference.
_MODULES = {
    "ClassifierSuccess": "success", "TrainingSettings": "training", "classifier_rewards": "examples",
    "evaluate_classifier": "evaluation", "train_classifier": "training",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'model')}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "safetensors", "sklearn", "torch"):
            raise
        raise MissingExtraError(f"The reward classifier needs {error.name}: pip install 'gym-hil[train]'") from error
