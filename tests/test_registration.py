"""Every id makes the environment that its name promises."""

from importlib.metadata import EntryPoint
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gym_hil.errors import ConfigurationError
from gym_hil.registration import ENTRY_POINTS, TASKS, controls, env_id, find_env, find_task

STEPS = {"PandaPickCube": (100, 150), "PandaArrangeBoxes": (100, 500), "PandaInsertPeg": (200, 200)}
FREE = ["Base", "", "Viewer", "Scripted"]  # controls that need no hardware

all_tasks = pytest.mark.parametrize(("task", "version"), [(task, v) for task in TASKS for v in (0, 1)])
# The gripper's [0, 2] is a contract with existing datasets and policies; Gymnasium would rather have it symmetric.
gripper_action = pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")
the_wrappers_are_checked = pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
free_ids = pytest.mark.parametrize("id_", [env_id(t, c, v) for t in TASKS for c in FREE for v in (0, 1)])


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@all_tasks
def test_every_control_of_every_task_is_registered(task: str, version: int) -> None:
    for control in ["Base", *controls()]:
        spec = gym.spec(env_id(task, control, version))
        assert spec.max_episode_steps == STEPS[task][version]


@all_tasks
def test_every_control_turns_where_it_is_asked_to(task: str, version: int) -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    for control, kwargs in controls().items():
        if control == "Viewer":
            continue  # its action is the task's own, with a rotation
        for orientation in (True, False):
            options = {"use_viewer": False} if kwargs.get("use_viewer") else {}
            env = gym.make(env_id(task, control, version), orientation=orientation, **options)
            assert env.action_space.shape == ((7,) if orientation else (4,))
            assert (3 in env.get_wrapper_attr("operator_moves")[0]) is orientation
            env.close()


@free_ids
@pytest.mark.filterwarnings("ignore:There is no display")
@the_wrappers_are_checked
@gripper_action
def test_gymnasiums_own_checker_has_no_complaint(id_: str) -> None:
    env = gym.make(id_, disable_env_checker=True)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.filterwarnings("ignore:There is no display")
@the_wrappers_are_checked
@gripper_action
def test_checker_has_no_complaint_with_images() -> None:
    env = gym.make("gym_hil/PandaPickCube-v1", image_obs=True, render_mode="rgb_array")
    check_env(env)
    env.close()


@all_tasks
@pytest.mark.parametrize("control", ["Base", ""])
def test_time_truncates_and_never_terminates(task: str, version: int, control: str) -> None:
    env = gym.make(env_id(task, control, version))
    env.reset(seed=0)
    stay = env.get_wrapper_attr("idle_action") if control == "" else np.zeros(7, np.float32)
    ends = [env.step(stay)[2:4] for _ in range(STEPS[task][version])]
    assert ends == [(False, False)] * (STEPS[task][version] - 1) + [(False, True)]


def test_v1_places_the_cube_at_random_and_v0_does_not() -> None:
    for version, places in ((0, 1), (1, 5)):
        env = gym.make(env_id("PandaPickCube", "", version))
        starts = {tuple(env.reset(seed=seed)[0]["environment_state"]) for seed in range(5)}
        assert len(starts) == places


def test_sync_async_and_single_environments_agree_by_seed() -> None:
    actions = np.random.default_rng(0).uniform([-1, -1, -1, 0], [1, 1, 1, 2], (5, 2, 4)).astype(np.float32)

    def episode(mode: str) -> list[np.ndarray]:
        envs = gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=2, vectorization_mode=mode, image_obs=True)
        observations = [envs.reset(seed=[3, 4])[0], *(envs.step(action)[0] for action in actions)]
        envs.close()
        return [part for seen in observations for part in (seen["agent_pos"], *seen["pixels"].values())]

    single = gym.make("gym_hil/PandaPickCube-v1", image_obs=True)
    observations = [single.reset(seed=4)[0], *(single.step(action)[0] for action in actions[:, 1])]
    expected = [part for seen in observations for part in (seen["agent_pos"], *seen["pixels"].values())]
    for mode in ("sync", "async", "async"):
        for part, other in zip(expected, episode(mode), strict=True):
            np.testing.assert_array_equal(other[1], part)


@pytest.mark.usefixtures("no_console")
def test_lerobots_call_works() -> None:
    env = gym.make(
        "gym_hil/PandaPickCube-v0", image_obs=True, render_mode="human", use_gripper=True, gripper_penalty=-0.02
    )
    with pytest.warns(UserWarning, match="no display"):
        observation, _ = env.reset()
    assert observation["pixels"]["front"].shape == (128, 128, 3)
    assert env.action_space.low == pytest.approx([-1, -1, -1, 0])
    assert env.action_space.high == pytest.approx([1, 1, 1, 2])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("PandaPickCube", ("PandaPickCube", 1)),
        ("pandapickcube-v0", ("PandaPickCube", 0)),
        ("gym_hil/PandaArrangeBoxes-v1", ("PandaArrangeBoxes", 1)),
    ],
)
def test_task_is_found_by_its_name_or_id(name: str, found: tuple[str, int]) -> None:
    assert find_task(name) == found


def test_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="PandaPickCube-v0"):
        find_task("PandaStack")


MY_TASK = """
from gym_hil.registration import Version, register_task

def register():
    register_task("MyPick", "gym_hil.envs:PandaPickCubeGymEnv", [Version(7)])
"""


def test_module_before_the_colon_is_imported_and_its_task_is_like_ours(own_registry: Path) -> None:
    (own_registry / "my_tasks.py").write_text(MY_TASK + "register()\n")
    assert find_task("my_tasks:MyPick") == ("MyPick", 0)
    assert find_env("my_tasks:mypick-v0") == find_env("MyPick") == gym.spec("gym_hil/MyPick-v0")


def test_installed_packages_offer_tasks_by_an_entry_point(own_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_registry / "offers_tasks.py").write_text(MY_TASK)
    offered = [EntryPoint("mine", "offers_tasks:register", ENTRY_POINTS), EntryPoint("bad", "no_such", ENTRY_POINTS)]
    monkeypatch.setattr("gym_hil.registration.entry_points", lambda group: offered)
    with pytest.warns(UserWarning, match="no_such cannot be loaded: ModuleNotFoundError"):
        assert find_task("MyPick-v0") == ("MyPick", 0)
    assert find_env("gym_hil/MyPickScripted-v0").max_episode_steps == 7


def test_environment_that_does_not_exist_is_one_clear_error(own_registry: Path) -> None:
    assert find_env("Pendulum").id == "Pendulum-v1"
    (own_registry / "broken_envs.py").write_text("1 / 0\n")
    with pytest.raises(ConfigurationError, match="MODULE:Nothing-v0"):
        find_env("Nothing-v0")
    with pytest.raises(ConfigurationError, match=r"broken_envs:Id.*ZeroDivisionError.*broken_envs.py, line 1"):
        find_env("broken_envs:Id-v0")
