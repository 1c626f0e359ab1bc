"""For LeRobot's EnvHub: a repository on the Hub with this file is an environment, `make_env("user/repository")`."""

from lerobot_env_gym_hil import GymHilEnv


def make_env(n_envs=1, use_async_envs=False, cfg=None):
    """Vector environments of PickCube, or of what `cfg` describes."""
    config = cfg if isinstance(cfg, GymHilEnv) else GymHilEnv(task="PandaPickCube")
    return config.create_envs(n_envs, use_async_envs)
