"""List the trained policies that come with the package. Their names can be given wherever a policy is taken."""

from __future__ import annotations

import argparse

from hil_trainer.pretrained import pretrained_policies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hil-trainer policies`: none."""


def run(arguments: argparse.Namespace) -> int:
    """Run `hil-trainer policies`."""
    for policy in pretrained_policies().values():
        print(
            f"{policy.name}\n"
            f"  {policy.task}, from {policy.observation}\n"
            f"  {policy.successes} of {policy.episodes} episodes succeed (seeds from {policy.seed}), "
            f"{policy.steps_per_episode:.0f} steps an episode\n"
            f"  {policy.trained_by}\n"
            f"  {policy.operator_steps:,} steps of the scripted operator; sha256 {policy.sha256}"
        )
    return 0
