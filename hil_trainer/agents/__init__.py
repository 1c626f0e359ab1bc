"""Algorithms and the networks that they train."""
