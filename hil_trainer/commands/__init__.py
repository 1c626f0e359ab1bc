"""The commands of `hil-trainer`, one a module."""
