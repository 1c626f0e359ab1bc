"""Errors raised by the trainer. Each message says what was wrong, with which value, and what to do."""

from __future__ import annotations

from gym_hil.errors import GymHilError


class HilTrainerError(GymHilError):
    """Base of the exceptions that only the trainer raises; a wrong setting is a `gym_hil.errors.ConfigurationError`."""


class CheckpointError(HilTrainerError, RuntimeError):
    """A run, a checkpoint, an exported policy or a classifier is missing, damaged or of another kind."""


class DemonstrationsError(HilTrainerError, ValueError):
    """Recorded episodes do not fit the training."""


class DivergenceError(HilTrainerError, ArithmeticError):
    """A loss is not finite. The previous checkpoint is kept."""


class LearnerError(HilTrainerError, RuntimeError):
    """The learner's process ended or does not answer."""


class ActorError(HilTrainerError, RuntimeError):
    """An actor on another process or machine cannot be kept alive."""
