"""Metrics of runs that never happened, with curves like those of real ones."""

import json

import numpy as np

from hil_trainer.logging.metrics import FILE


def made_up_run(directory, seed=0, speed=1.0, operator=True, steps=3000, resumed_at=None, last=None, final=None):
    """Write the metrics of a run in which success grows with the steps and intervention falls.

    `last` and `final` are the successes of the last full and the final evaluation; random if None.
    """
    rng = np.random.default_rng(seed)
    rows, step, driven, seconds, episode = [], 0, 0, 0.0, 0

    def row(kind, **values):
        rows.append({"kind": kind, "step": step, "seconds": round(seconds, 3), "time": 1.7e9 + seconds, **values})

    def evaluation(episodes, purpose, successes=None):
        successes = int(rng.binomial(episodes, ability())) if successes is None else successes
        row(
            "evaluation", episodes=episodes, successes=successes, length=22.0 + 70 * (1 - ability()), seed=0,
            operator_steps=driven, purpose=purpose,
        )  # fmt: skip

    def ability():
        return 0.995 / (1 + np.exp(-(step * speed - 1300) / 220))

    def one(length, helped, success, demonstration):
        row(
            "episode", episode=episode, success=bool(success), length=length, operator_steps=helped,
            demonstration=demonstration, **{"return": float(success)},
        )  # fmt: skip

    for _ in range(20):
        episode += 1
        one(21 + int(rng.integers(5)), 21, True, True)
    while step < steps:
        able = rng.random() < ability()
        helped = 0 if able or not operator else int(rng.integers(15, 25))
        length = int(rng.integers(18, 28)) if able else 25 + helped if operator else 100
        episode, step, driven = episode + 1, step + length, driven + helped
        seconds += length / 38 + rng.random() * 0.2
        one(length, helped, able or helped, False)
        row("learning", updates=2 * step, critic_loss=0.02 * np.exp(-step / 900) + 1e-3, actor_loss=-0.4, q=0.6,
            temperature=0.01, staleness=3, steps_per_second=36.0, updates_per_second=72.0)  # fmt: skip
        if step // 250 > (step - length) // 250:
            evaluation(20, "quick")
            if rows[-1]["successes"] >= 18:
                evaluation(100, "full")
        if resumed_at and step >= resumed_at > step - length:
            row("event", text=f"resumed from checkpoints/step_{step}")
    evaluation(100, "full", last)
    evaluation(100, "final", final)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_text("".join(json.dumps(one) + "\n" for one in rows))
    return rows
