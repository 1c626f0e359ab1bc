"""The trainer's tests need the extra `train`. Where it is not installed, `tests/test_packaging.py` says so."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*"]
