"""Policies at the wheel: any policy as a function of the observation, and policies that play the operator."""

from gym_hil.policies.loading import LoadedPolicy, load_policy

__all__ = ["LoadedPolicy", "load_policy"]
