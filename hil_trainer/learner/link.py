"""What an actor and a shared learner say to each other, through all that may befall the way between them."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable

from hil_trainer.agents.policy import Policy
from hil_trainer.learner.learner import Weights
from hil_trainer.learner.server import NONE_YET, Delivery, Order
from hil_trainer.rollout.actor import Actor, Rollout
from hil_trainer.rollout.evaluation import load_weights

KEPT = (
    600  # deliveries that an operator may be ahead of a learner that does not answer; ten minutes at ten steps a second
)
_ALIVE_EVERY = 5.0  # s between two signs of life of an actor that has nothing to say
_RETRY_AFTER = 0.5  # s
_SECONDS_TO_END = 2.0


class UnreachableError(Exception):
    """The learner does not answer now, but may later."""


class GoneError(Exception):
    """The learner has ended for good."""


class Link:
    """Hands over what one actor does, in order and each thing once, in a thread of its own.

    While the learner cannot be reached, deliveries are kept and tried again. A learner that was started anew gets them,
    too.

    Args:
        name: of the actor.
        exchange: hands over one delivery. It raises `UnreachableError` or `GoneError`.
        waits: whether the actor waits while the learner is behind.
        wants_weights: whether to be sent weights.
        taken: is told what has arrived, in the thread: number, rollout, and life of the learner.
    """

    def __init__(
        self,
        name: str,
        exchange: Callable[[Delivery], Order],
        *,
        waits: bool,
        wants_weights: bool = True,
        taken: Callable[[int, Rollout, str], None] | None = None,
    ):
        self.name, self._id = name, uuid.uuid4().hex
        self._exchange, self._waits, self._taken = exchange, waits, taken
        self._most = 1 if waits else KEPT
        self._changed = threading.Condition()
        self._queue: deque[Delivery] = deque()
        self._sent = -1
        self._order: Order | None = None
        self._knows = NONE_YET if wants_weights else None
        self._weights: Weights = {}
        self._learned = 0
        self._ends = self._gone = self._lost = False
        self._failure: Exception | None = None
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"hil-link-{name}", daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """The number of the newest delivery; -1 before the first."""
        return self._sent

    @property
    def is_lost(self) -> bool:
        """Whether the learner has ended for good, without saying that training is over."""
        with self._changed:
            return self._lost and not (self._order is not None and self._order.over)

    def deliver(self, rollout: Rollout) -> None:
        """Hand over what happened. Comes back at once, unless very much is waiting."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) <= self._most or self._gone or self._ends)
            self._sent += 1
            self._queue.append(Delivery(self.name, self._id, self._sent, rollout, self._learned, None, self._waits))
            self._changed.notify_all()

    def ready(self) -> bool:
        """Wait until it is time to act. Returns False when there is nothing left to do.

        Raises:
            Exception: the exchange failed in a way that it should not.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._over() or (self._order is not None and self._order.go and len(self._queue) <= self._most)
            )
            if self._failure is not None:
                raise self._failure
            return not self._over()

    def orders(self) -> tuple[Order, Weights]:
        """The newest order, and the newest weights. There is one when `ready` has been true."""
        with self._changed:
            assert self._order is not None
            self._learned = self._order.learned
            return self._order, self._weights

    def close(self) -> None:
        """Say no more. What has not arrived within two seconds is lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or self._over(), timeout=_SECONDS_TO_END)
            self._ends = True
            self._changed.notify_all()
        self._pause.set()
        self._thread.join()

    def _over(self) -> bool:
        return self._gone or self._ends or (self._order is not None and self._order.over)

    def _work(self) -> None:
        try:
            while self._say_next():
                pass
        except GoneError:
            self._lost = True
        except Exception as error:
            with self._changed:
                self._failure = error
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _say_next(self) -> bool:
        with self._changed:
            # An actor that may not go has nothing to deliver: it asks until it may.
            asks = self._order is None or not self._order.go
            if not asks:
                self._changed.wait_for(lambda: self._queue or self._ends, timeout=_ALIVE_EVERY)
            if self._over():
                return False
            waiting = Delivery(self.name, self._id, self._sent, None, 0, None, self._waits)
            delivery = (self._queue[0] if self._queue else waiting)._replace(knows=self._knows)
        try:
            order = self._exchange(delivery)
        except UnreachableError:
            self._pause.wait(_RETRY_AFTER)
            return True
        with self._changed:
            self._order = order
            if order.weights is not None:
                self._weights, self._knows = order.weights, order.version
            if delivery.rollout is not None:
                self._queue.popleft()
            self._changed.notify_all()
        if delivery.rollout is not None and self._taken is not None:
            self._taken(delivery.number, delivery.rollout, order.life)
        if not order.go and not self._waits:
            self._pause.wait(_RETRY_AFTER)  # who does not wait is answered at once
        return True


def act(actor: Actor, policy: Policy, link: Link, chunk: int) -> int:
    """Act with the newest weights until training ends.

    Args:
        actor: makes steps.
        policy: chooses actions.
        link: to the learner.
        chunk: steps between two deliveries.

    Returns:
        Steps that were made.
    """
    acts_with, steps = NONE_YET, 0
    while link.ready():
        order, weights = link.orders()
        if order.version != acts_with:
            load_weights(policy, weights)
            acts_with = order.version
        # The operator helps less the more episodes there were, whoever acted in them.
        actor.set_episodes(order.episodes)
        rollout = actor.run(policy, chunk)
        steps += rollout.steps
        link.deliver(rollout)
        if rollout.quit:
            break
    return steps
