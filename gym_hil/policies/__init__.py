"""Policies at the wheel: any policy as a function of the observation, and policies that play the operator."""

from gym_hil.policies.loading import LoadedPolicy, load_policy
from gym_hil.policies.operator import PolicyOperator

__all__ = ["LoadedPolicy", "PolicyOperator", "load_policy"]
