"""Everything the trainer raises on purpose. Each message says what was wrong, with which value, and what to do."""

from __future__ import annotations


class HilTrainerError(Exception):
    """Base of every exception raised by `hil_trainer`."""


class ConfigurationError(HilTrainerError, ValueError):
    """A setting has a value that cannot work, alone or with the others."""


class CheckpointError(HilTrainerError, RuntimeError):
    """A run, a checkpoint or an exported policy is missing, damaged or of another kind."""


class DemonstrationsError(HilTrainerError, ValueError):
    """Recorded episodes do not fit what is to be trained."""


class DivergenceError(HilTrainerError, ArithmeticError):
    """A loss is not finite. The last good checkpoint is kept."""


class LearnerError(HilTrainerError, RuntimeError):
    """The learner's process ended or does not answer."""


class ActorError(HilTrainerError, RuntimeError):
    """An actor on another process or machine cannot be kept alive."""


class MissingExtraError(HilTrainerError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
