"""Acting in an environment: the adapter, the actor, evaluation."""
