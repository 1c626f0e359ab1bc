"""`python -m gym_hil.cli` is the command `gym-hil`."""

import sys

from gym_hil.cli import main

if __name__ == "__main__":
    sys.exit(main())
