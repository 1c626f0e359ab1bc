"""The learner, and its transports: a process, or Ray."""
