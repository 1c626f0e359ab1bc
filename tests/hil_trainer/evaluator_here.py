"""An evaluator in the same process."""

from concurrent.futures import Future

from hil_trainer.rollout.evaluation import Evaluation


class EvaluatorHere:
    """Returns given success rates, one after the other, then 0; a pair is of a rate and the steps of each episode."""

    def __init__(self, rates):
        self.rates, self.asked = list(rates), []

    def start(self, weights, *, episodes, seed):
        given = self.rates.pop(0) if self.rates else 0.0
        rate, length = given if isinstance(given, tuple) else (given, 20)
        successes = round(rate * episodes)
        outcomes = [number < successes for number in range(episodes)]
        self.asked.append((episodes, seed))
        done = Future()
        done.set_result(Evaluation(seed, outcomes, [length] * episodes, []))
        return done

    def result(self, evaluation):
        return evaluation.result()

    def close(self):
        pass
