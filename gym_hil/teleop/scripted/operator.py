"""A scripted operator, for tests, demonstrations and training: skilled, but as slow, shaky and lazy as you like."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.device import Device, TeleopCommand
from gym_hil.teleop.scripted.pick_place import Carrier, Errand, View, effort

TAKEOVERS = ("always", "no_progress", "probability")
LIFT = 0.12  # m, how high a thing is lifted that only has to be picked up
PROGRESS = 0.005  # m that count as progress


class ScriptedOperator(Device):
    """Takes over, carries things to where they belong, and lets go when that is done.

    The operator looks at the simulation itself: `tcp_position`, `tcp_target`, `gripper_command` and `gripper_closed` of
    the environment, and what the task says there is to do. A task says so by a method `errands()` that returns for each
    thing where it is, where it belongs (both (3,) m, its centre) and whether to put it down there. Without one, an
    environment with `cube_position` has its cube lifted, and one with `box_positions` and `target_positions` has its
    boxes brought onto the targets.

    Chance comes from a generator of its own, so that the same seed gives the same operator; `env.reset(seed=...)`
    starts it over.

    Args:
        env: the environment, wrapped or not.
        reaction_delay: steps between seeing and acting, and so also by which taking over comes late.
        motion_noise: standard deviation of the hand's tremor, as a fraction of full speed.
        takeover: "always": from the first step. "no_progress": when the policy has brought nothing nearer to its goal
            for `patience` steps. "probability": on each step with `probability`.
        patience: steps.
        probability: in [0, 1].
        full_speed: m that a step at full speed moves, one number or (3,).
        seed: of the generator.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or the environment lacks what the operator looks
        at.
    """

    human = False

    def __init__(
        self,
        env: Any,
        *,
        reaction_delay: int = 0,
        motion_noise: float = 0.0,
        takeover: Literal["always", "no_progress", "probability"] = "always",
        patience: int = 10,
        probability: float = 0.05,
        full_speed: ArrayLike = 0.025,
        seed: int | None = None,
    ):
        if takeover not in TAKEOVERS:
            raise ConfigurationError(f"takeover is {takeover!r}; expected one of {', '.join(map(repr, TAKEOVERS))}.")
        if reaction_delay != int(reaction_delay) or reaction_delay < 0:
            raise ConfigurationError(f"reaction_delay is {reaction_delay!r}; expected a number of steps, 0 or more.")
        if patience != int(patience) or patience < 1:
            raise ConfigurationError(f"patience is {patience!r}; expected a number of steps, 1 or more.")
        if not 0 <= motion_noise < np.inf:
            raise ConfigurationError(f"motion_noise is {motion_noise!r}; expected a fraction of full speed, 0 or more.")
        if not 0 <= probability <= 1:
            raise ConfigurationError(f"probability is {probability!r}; expected a number in [0, 1].")
        self._speed = np.broadcast_to(np.asarray(full_speed, dtype=np.float64), 3).copy()
        if not (self._speed > 0).all():
            raise ConfigurationError(f"full_speed is {full_speed!r}; expected m a step, more than 0.")
        self._env = getattr(env, "unwrapped", env)
        self._noise, self._takeover = motion_noise, takeover
        self._patience, self._probability = patience, probability
        self._seed = 0 if seed is None else seed
        self._rng = np.random.default_rng(seed)
        self._carrier = Carrier()
        # The last views, oldest first, and the motion in m that was sent since the oldest of them.
        self._views: deque[View] = deque(maxlen=int(reaction_delay) + 1)
        self._sent: deque[np.ndarray] = deque(maxlen=int(reaction_delay))
        self._engaged = False
        self._best, self._waited = np.inf, 0  # least effort seen, m, and steps since
        self.reset()

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> ScriptedOperator:
        """See `Device.for_env`."""
        if env is not None and "full_speed" not in options and env.has_wrapper_attr("full_speed"):
            options["full_speed"] = env.get_wrapper_attr("full_speed")
        return cls(env, **options)

    def poll(self) -> TeleopCommand:
        """See `Device.poll`."""
        self._views.append(self._look())
        moved = sum(self._sent, np.zeros(3))
        self._sent.append(np.zeros(3))
        if len(self._views) < self._views.maxlen:  # type: ignore[operator]
            return TeleopCommand()
        seen = self._views[0]
        self._engaged = self._engaged or self._wants_to_drive(seen)
        if not self._engaged:
            return TeleopCommand()
        # People know what their hands have done since they last saw it.
        view = seen._replace(aim=seen.aim + moved)
        wish = self._carrier.decide(view)
        if wish is None:
            self._let_go()
            return TeleopCommand()
        motion = np.zeros(6)
        motion[:3] = np.minimum(np.maximum((wish.aim - view.aim) / self._speed, -1.0), 1.0)
        if self._sent:
            self._sent[-1] = motion[:3] * self._speed
        if self._noise:
            motion[:3] = np.clip(motion[:3] + self._rng.normal(0.0, self._noise, 3), -1.0, 1.0)
        return TeleopCommand(motion, wish.gripper, engaged=True)

    def reset(self) -> None:
        """Start an episode as an onlooker. The generator goes on: episodes differ, experiments repeat."""
        self._errands = _errands_of(self._env)
        self._views.clear()
        self._sent.clear()
        self._carrier.reset()
        self._let_go()

    def seed(self, seed: int) -> None:
        """See `Device.seed`."""
        self._rng = np.random.default_rng([self._seed, seed])

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`."""
        when = {
            "always": "takes over at once",
            "no_progress": f"takes over after {self._patience} steps without progress",
            "probability": f"takes over on each step with probability {self._probability:g}",
        }
        return [("scripted operator", when[self._takeover])]

    def _look(self) -> View:
        env = self._env
        errands = self._errands()
        return View(env.tcp_position, env.tcp_target, env.gripper_command, env.gripper_closed, errands)

    def _wants_to_drive(self, view: View) -> bool:
        left = effort(view)
        if left == 0.0:
            return False
        if self._takeover == "always":
            return True
        if self._takeover == "probability":
            return bool(self._rng.random() < self._probability)
        if left < self._best - PROGRESS:
            self._best, self._waited = left, 0
            return False
        self._waited += 1
        return self._waited >= self._patience

    def _let_go(self) -> None:
        self._engaged = False
        self._best, self._waited = np.inf, 0


def _errands_of(env: Any) -> Callable[[], list[Errand]]:
    """What there is to do in an environment, to be asked at each look."""
    for name in ("tcp_position", "tcp_target", "gripper_command", "gripper_closed"):
        if not hasattr(env, name):
            raise ConfigurationError(
                f"The scripted operator needs an environment with {name}; {type(env).__name__} has not."
            )
    if hasattr(env, "errands"):
        return lambda: [Errand(*errand) for errand in env.errands()]
    if hasattr(env, "box_positions") and hasattr(env, "target_positions"):
        return lambda: _sort(env)
    if hasattr(env, "cube_position"):
        ground = float(env.cube_position[2])
        return lambda: _lift(env, ground)
    raise ConfigurationError(
        f"The scripted operator does not know what to do in {type(env).__name__}; give it a method errands()."
    )


def _lift(env: Any, ground: float) -> list[Errand]:
    cube = env.cube_position
    return [Errand(cube, np.array([cube[0], cube[1], ground + LIFT]), put_down=False)]


def _sort(env: Any) -> list[Errand]:
    # A target lies on the floor; how high a box's centre is when it stands there is seen on the lowest box.
    boxes, targets = env.box_positions, env.target_positions.copy()
    targets[:, 2] = boxes[:, 2].min()
    return [Errand(box, target, put_down=True) for box, target in zip(boxes, targets, strict=True)]
