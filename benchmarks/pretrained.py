"""Train the policies that come with the package, and put them into `hil_trainer/pretrained`.

python -m benchmarks.pretrained [--only NAME...] [--out outputs/pretrained]

Each is one run of `hil-trainer train`; a run that was interrupted goes on. The successes that are written beside its
policy are those of the run's final evaluation, whose seeds chose neither the policy nor the moment to stop.
"""

import argparse
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hil_trainer.agents.policy_file import NAME, read_description
from hil_trainer.logging.metrics import final_evaluation, read_metrics
from hil_trainer.pretrained import FOLDER, INDEX


class Recipe(NamedTuple):
    """How a policy is trained.

    Attributes:
        observation: what it sees, in words.
        arguments: of `hil-trainer train`.
    """

    observation: str
    arguments: str


RECIPES = {
    "pick_cube_state": Recipe("state", "--algorithm bc --demos 7 --seed 0"),
    "pick_cube_images": Recipe("two cameras of 64 pixels and proprioception", "--algorithm sac --obs pixels --seed 0"),
    "arrange_boxes_state": Recipe("state", "--algorithm bc --task PandaArrangeBoxes-v1 --steps 0 --seed 0"),
    "insert_peg_state": Recipe("state", "--algorithm bc --task PandaInsertPeg-v1 --steps 0 --seed 0"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, and copy all that were asked for into the package."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretrained", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("outputs/pretrained"))
    options = parser.parse_args(arguments)
    index: dict[str, Any] = json.loads(INDEX.read_text(encoding="utf-8")) if INDEX.exists() else {}
    for name in options.only:
        run = options.out / name
        if not (run / NAME).exists() or final_evaluation(read_metrics(run)) is None:
            train(run, RECIPES[name].arguments)
        shutil.copyfile(run / NAME, FOLDER / f"{name}.safetensors")
        index[name] = entry(run, RECIPES[name])
    in_order = {name: index[name] for name in RECIPES if name in index}
    INDEX.write_text(json.dumps(in_order, indent=2) + "\n", encoding="utf-8")
    return 0


def train(run: Path, arguments: str) -> None:
    """Train a policy, or go on with it."""
    resume = ["--resume"] if (run / "config.json").exists() else []
    words = ["train", "--out", str(run), *shlex.split(arguments), *resume]
    subprocess.run([sys.executable, "-m", "hil_trainer", *words], check=True)


def entry(run: Path, recipe: Recipe) -> dict[str, Any]:
    """What the index says of the policy of a run; see `PretrainedPolicy`."""
    rows = read_metrics(run)
    final = final_evaluation(rows)
    assert final is not None
    provenance = read_description(run)["provenance"]
    shown = sum(row["operator_steps"] for row in rows if row["kind"] == "episode" and row["demonstration"])
    return {
        "task": provenance["task"],
        "observation": recipe.observation,
        "successes": final["successes"],
        "episodes": final["episodes"],
        "seed": final["seed"],
        "steps_per_episode": round(final["length"], 1),
        "operator_steps": shown + provenance["operator_steps"],
        "trained_by": f"hil-trainer train {recipe.arguments}",
        "sha256": hashlib.sha256((run / NAME).read_bytes()).hexdigest(),
    }


if __name__ == "__main__":
    sys.exit(main())
