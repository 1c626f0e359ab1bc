"""What `gym-hil` can be told to do, a module for each command; `gym_hil.cli` has the list.

Each module has `add_arguments(parser)` and `run(arguments)`, which returns the exit status.
"""
