"""Arranging boxes: shuffled by the env's own generator, done when each is on its own pad."""

import numpy as np
import pytest

from gym_hil.envs import PandaArrangeBoxesGymEnv
from gym_hil.envs.arrange_boxes import BOXES, ROWS, TARGET_X, TARGETS
from gym_hil.errors import ConfigurationError


def place(env, offset=0.0):
    for box, y in zip(BOXES, ROWS, strict=True):
        env.data.joint(box).qpos[:2] = TARGET_X + offset, y


def test_scene_is_as_measured(arrange_boxes):
    env = PandaArrangeBoxesGymEnv()
    env.reset()
    for number, (box, target) in enumerate(zip(BOXES, TARGETS, strict=True), start=1):
        measured = arrange_boxes["targets"][f"target{number}"]
        assert env.data.body(target).xpos == pytest.approx(measured["pos"])
        for name, expected in ((target, measured), (box, arrange_boxes["boxes"][f"block{number}"])):
            geom = env.model.geom(env.model.body(name).geomadr[0])
            assert geom.size == pytest.approx(expected["size"])
            assert geom.rgba == pytest.approx(expected["rgba"])
    assert env.tcp_position == pytest.approx(arrange_boxes["tcp_home"], abs=2e-4)
    assert env.cartesian_bounds == pytest.approx(np.array(arrange_boxes["workspace"]))


def test_boxes_are_shuffled_along_y_by_the_seed():
    env = PandaArrangeBoxesGymEnv()
    orders = set()
    for seed in range(20):
        rows = env.reset(seed=seed)[0]["environment_state"].reshape(5, 3)[:, 1]
        assert sorted(rows) == pytest.approx(ROWS)
        orders.add(tuple(rows))
    assert len(orders) > 10


@pytest.mark.parametrize(("offset", "done"), [(0.0, True), (0.029, True), (0.031, False), (-0.031, False)])
def test_success_is_every_box_within_three_centimetres_of_its_pad(offset, done):
    rows = (0.4, -0.4, 0.2, -0.2, 0.0)
    env = PandaArrangeBoxesGymEnv()
    assert env.reset(options={"box_y": rows})[0]["environment_state"].reshape(5, 3)[:, 1] == pytest.approx(rows)
    place(env)
    env.data.joint(BOXES[2]).qpos[1] += offset
    _, reward, terminated, _, info = env.step(np.zeros(7))
    assert (reward, terminated, info["succeed"]) == (float(done), done, done)


def test_boxes_on_the_pads_of_others_are_no_success():
    env = PandaArrangeBoxesGymEnv()
    env.reset(seed=0)
    place(env)
    first, second = (env.data.joint(box).qpos for box in BOXES[:2])
    first[1], second[1] = second[1], first[1]
    assert env.step(np.zeros(7))[4]["succeed"] is False


def test_box_out_of_the_workspace_ends_the_episode():
    env = PandaArrangeBoxesGymEnv()
    env.reset(seed=0)
    env.data.joint(BOXES[0]).qpos[1] = 0.51
    _, reward, terminated, truncated, _ = env.step(np.zeros(7))
    assert (reward, terminated, truncated) == (0.0, True, False)


def test_dense_reward_grows_with_each_box_that_is_placed():
    env = PandaArrangeBoxesGymEnv(reward_type="dense")
    env.reset(seed=0)
    rewards = [env.step(np.zeros(7))[1]]
    for box, y in zip(BOXES, ROWS, strict=True):
        env.data.joint(box).qpos[:3] = TARGET_X, y, 0.02 + 0.05 * (len(rewards) < 5)  # above what may still lie there
        rewards.append(env.step(np.zeros(7))[1])
        env.data.joint(box).qpos[2] = 0.02
    assert all(0 <= reward <= 1 for reward in rewards)
    assert rewards[-1] == 1.0


@pytest.mark.parametrize("rows", [(0, 0.1), (0.0, 0.01, 0.1, 0.2, 0.3), (-0.6, -0.3, 0.0, 0.2, 0.4)])
def test_rows_that_do_not_fit_are_refused(rows):
    with pytest.raises(ConfigurationError, match="box_y"):
        PandaArrangeBoxesGymEnv().reset(options={"box_y": rows})
