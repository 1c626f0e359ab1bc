"""`python -m hil_trainer.cli` is the command `hil-trainer`."""

import sys

from hil_trainer.cli import main

if __name__ == "__main__":
    sys.exit(main())
