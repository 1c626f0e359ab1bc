"""The learner, and how it is reached: in a process or on Ray."""
