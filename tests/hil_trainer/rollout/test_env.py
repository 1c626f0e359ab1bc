"""An environment as the trainer uses it."""

import numpy as np
import pytest

from hil_trainer.config import NO_OPERATOR
from hil_trainer.rollout.env import VIDEO_SIZE, RolloutEnv


@pytest.fixture
def env(small):
    made = []

    def make(operator=NO_OPERATOR, **settings):
        made.append(RolloutEnv(small(**settings), operator=operator))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_state_is_numbers_only(env):
    one = env()
    assert one.layout.cameras == one.layout.privileged == ()
    obs = one.reset(0)
    assert obs.state.shape == (one.layout.state_size,)
    assert obs.images is None


@pytest.mark.parametrize("privileged", [True, False])
def test_pixels_come_with_what_only_the_simulation_knows_if_critics_may_see_it(env, privileged):
    one = env(obs="pixels", privileged=privileged, image_size=16)
    assert "environment_state" not in dict(one.layout.state)
    assert one.layout.image_shape == (2, 16, 16, 3)
    obs = one.reset(0)
    assert obs.images.shape == (2, 16, 16, 3)
    if privileged:
        base = one.env.unwrapped
        np.testing.assert_allclose(obs.privileged, [*base.environment_state(), base.gripper_closed], atol=1e-6)
    else:
        assert obs.privileged.size == 0


def test_an_environment_is_filmed_in_steady_size(env):
    one = env()
    one.reset(0)
    frame = one.render()
    assert frame.shape == (VIDEO_SIZE, VIDEO_SIZE, 3)
    assert frame.std() > 10


def test_the_same_seed_starts_the_same(env):
    one = env()
    np.testing.assert_array_equal(one.reset(7).state, one.reset(7).state)
    assert (one.reset(7).state != one.reset(8).state).any()


def test_a_script_s_environment_runs_as_fast_as_it_goes(env):
    assert not env().in_real_time
    assert env().pace == ""
    assert env(real_time=True).in_real_time
