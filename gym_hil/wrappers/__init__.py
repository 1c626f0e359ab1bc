"""Wrappers: end-effector actions, intervention, gripper penalty, viewer, web console, and a factory for all of them."""
