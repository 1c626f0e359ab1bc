"""Learning from rewards, demonstrations and a person who takes over: a trainer for the environments of `gym_hil`."""
