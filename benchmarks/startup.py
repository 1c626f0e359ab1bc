"""How long it takes until the first observation in a fresh process, and how much memory an environment takes."""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.row import Row
from benchmarks.upstream import ONE_THREAD, VENV

SECONDS, RSS_RATIO = 0.3, 1.5

# Run in a process of its own, in either package's environment.
_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import gymnasium, mujoco
{imports}
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * {page} / 1e6
imported = megabytes()
import gym_hil
start = time.perf_counter()
env = gymnasium.make({env_id!r}, image_obs={image_obs})
env.reset(seed=0)
seconds = time.perf_counter() - start
for _ in range(20 if not {image_obs} else 0):
    env.step(env.action_space.sample())
print(json.dumps({{"seconds": seconds, "imported": imported, "used": megabytes()}}))
"""


def first_observation(quick: bool = False) -> Row:
    """`gym.make` to first observation where compiled code is cached, without the time of imports."""
    repeats = 1 if quick else 7
    _measure(image_obs=True)  # fills the cache
    pixels = [_measure(image_obs=True)["seconds"] for _ in range(repeats)]
    state = [_measure(image_obs=False)["seconds"] for _ in range(repeats)]
    measured = f"{np.median(pixels):.3f} s with two views, {np.median(state):.3f} s state only"
    if VENV.exists() and not quick:
        theirs = [_measure(image_obs=False, python=str(VENV / "bin" / "python"))["seconds"] for _ in range(3)]
        measured += f"; upstream {np.median(theirs):.2f} s state only"
    met = bool(np.median(pixels) <= SECONDS and np.median(state) <= SECONDS)
    return Row("`gym.make` to first observation, warm cache, imports excluded", f"at most {SECONDS} s", measured, met)


def memory(quick: bool = False) -> Row:
    """Resident memory of a state-only environment after 20 steps, against that of the imports alone."""
    runs = [_measure(image_obs=False) for _ in range(1 if quick else 5)]
    used, bare = (float(np.median([run[key] for run in runs])) for key in ("used", "imported"))
    measured = f"{used / bare:.2f} x ({used:.0f} MB / {bare:.0f} MB)"
    if VENV.exists() and not quick:
        theirs = _measure(image_obs=False, python=str(VENV / "bin" / "python"))
        measured += f"; upstream {theirs['used']:.0f} MB"
    bar = f"at most {RSS_RATIO} x that of `import mujoco, gymnasium, numba`"
    return Row("RSS of a state-only environment", bar, measured, used / bare <= RSS_RATIO)


def _measure(*, image_obs: bool, python: str = sys.executable) -> dict[str, float]:
    program = _PROGRAM.format(
        imports="import numba" if python == sys.executable else "",
        page=os.sysconf("SC_PAGE_SIZE"),
        env_id="gym_hil/PandaPickCubeBase-v0",
        image_obs=image_obs,
    )
    environment = {**os.environ, **ONE_THREAD}
    if python != sys.executable:
        environment.setdefault("MUJOCO_GL", "egl")
    # Not from the checkout: `-c` would import the package that lies there instead of the installed one.
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    return json.loads(result.stdout.splitlines()[-1])
