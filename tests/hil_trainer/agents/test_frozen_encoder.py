"""An encoder that is trained already is used as it is."""

import json
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from gym_hil.cli import main as gym_hil_main
from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.agents.frozen_encoder import load_encoder
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import load_policy, save_policy
from hil_trainer.agents.sac import SAC, policy_shape
from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.cli import main
from hil_trainer.config import NO_OPERATOR, EnvConfig, SACConfig
from hil_trainer.data.demonstrations import read_demonstrations
from hil_trainer.data.observations import Observation
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.errors import CheckpointError
from hil_trainer.learner.learner import Learner, LearnerSetup
from hil_trainer.logging.metrics import read_metrics
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Evaluator
from tests.hil_trainer.agents import tiny_encoder
from tests.hil_trainer.agents.tiny_encoder import FEATURES, SIZE
from tests.hil_trainer.made_up import act

SOURCE = f"{tiny_encoder.__name__}:network"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules that can be imported during the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def make(name, text):
        (tmp_path / f"{name}.py").write_text(f"from {tiny_encoder.__name__} import *\nfrom torch import nn\n{text}\n")
        sys.modules.pop(name, None)
        written.append(name)
        return f"{name}:network"

    yield make
    for name in written:
        sys.modules.pop(name, None)


def images(views=2, size=SIZE):
    return np.random.default_rng(0).integers(0, 256, (views, size, size, 3), np.uint8)


def test_features_are_those_of_the_network_normalised():
    encoder = load_encoder(SOURCE, SIZE)
    given = torch.from_numpy(images()).permute(0, 3, 1, 2) / 255
    features = tiny_encoder.network().eval()(given).flatten(1)
    expected = functional.layer_norm(features, (FEATURES,)).detach()
    found = encoder.encode(images())
    assert encoder.numbers == FEATURES
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-5)


def test_an_encoder_is_identified_by_its_weights(write):
    renamed, other = write("renamed", ""), write("other", "network = lambda make=network: make(4)")
    ours, same, different = (load_encoder(source, SIZE).sha256 for source in (SOURCE, renamed, other))
    assert ours == same != different


def test_an_encoder_learns_nothing_and_leaves_random_numbers_alone():
    before = torch.get_rng_state()
    encoder = load_encoder(SOURCE, SIZE)
    assert torch.equal(torch.get_rng_state(), before)
    assert not encoder._network.training
    assert not any(one.requires_grad for one in encoder._network.parameters())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("del network", "has no function network"),
        ("network = 3", "has no function network"),
        ("import nothing_of_the_kind", "cannot be imported.*No module named 'nothing_of_the_kind'.*PYTHONPATH"),
        ("def network(size): pass", "cannot be created.*without arguments"),
        ("def network(): return 3", "returns int; expected a torch.nn.Module"),
        ("def network(): return nn.Linear(7, 2)", "fails on images of 32 x 32 pixels.*--encoder-size"),
        ("def network(): return nn.Flatten(0)", "returns the shape .*; expected"),
        ("def network(): return nn.AdaptiveMaxPool2d(2, return_indices=True)", "returns tuple"),
        ("def network(): return nn.Upsample(60)", "10800 numbers; expected 2 to 8192.*pooling"),
        ("def network(): return Scaled(1e39)", "not finite"),
        ("network = Random", "other numbers each time"),
        ("network = Learning", "changes when it is used"),
    ],
)
def test_a_function_that_gives_no_encoder_is_refused(write, text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_encoder(write("unfit", text), SIZE)


@pytest.mark.parametrize("source", ["network.pth", "vision.pt2", "imagenet2"])
def test_anything_but_a_name_or_a_function_is_refused(source):
    with pytest.raises(ConfigurationError, match=r"expected imagenet or package\.module:function"):
        load_encoder(source, SIZE)


def test_an_encoder_is_for_images(small):
    with pytest.raises(ConfigurationError, match="an encoder is for images: --obs pixels"):
        EnvConfig(encoder="vision:network")
    with pytest.raises(ConfigurationError, match="encoder_size is 0"):
        small(encoder_size=0)


@pytest.fixture
def env(small):
    made = []

    def make(**settings):
        config = small(obs="pixels", encoder_size=SIZE, demos="0", **settings)
        made.append(RolloutEnv(config, operator=NO_OPERATOR))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("privileged", [True, False])
def test_views_are_numbers_that_policy_and_critics_see(env, privileged):
    one = env(encoder=SOURCE, privileged=privileged)
    layout = one.layout
    assert layout.state[-2:] == (("encoded.front", FEATURES), ("encoded.wrist", FEATURES))
    assert (layout.cameras, layout.image_shape, layout.views) == ((), None, ("front", "wrist"))
    assert bool(layout.privileged) == privileged
    obs = one.reset(0)
    assert obs.images is None
    assert obs.state.shape == (layout.state_size,)
    views = obs.state[-2 * FEATURES :].reshape(2, FEATURES)
    np.testing.assert_allclose(views.std(1), 1, atol=1e-2)
    assert np.abs(views[0] - views[1]).max() > 0.1
    config = SACConfig(width=16)
    sac = SAC(policy_shape(layout, one.actions, config), config)
    assert sac.policy.shape.layout.privileged == ()
    state, hidden = (torch.from_numpy(part)[None] for part in (obs.state, obs.privileged))
    other = torch.cat([state[:, : -2 * FEATURES], torch.randn(1, 2 * FEATURES)], -1)
    here, there = (sac._critic_obs(Observation(part, hidden, None)) for part in (state, other))
    # The policy sees them through a layer that is learned; critics too, unless they know better.
    assert not torch.equal(sac.policy.encode(state), sac.policy.encode(other))
    assert torch.equal(here, there) == privileged
    if not privileged:
        assert torch.equal(here, sac.policy.encode(state))
    # They are no part of what is sent with every set of weights.
    assert sac.policy.features.matrix.shape[1] == 18


@pytest.mark.parametrize("privileged", [True, False])
def test_the_layer_behind_an_encoder_is_learned(env, privileged):
    one = env(encoder=SOURCE, privileged=privileged)
    torch.manual_seed(0)
    config = SACConfig(width=16)
    sac = SAC(policy_shape(one.layout, one.actions, config), config)
    buffer = ReplayBuffer(one.layout, one.actions, 64, seed=0)
    actor = Actor(one, discount=0.97, n_step=1, seed=np.random.SeedSequence(0))
    buffer.add(actor.run(sac.policy.plans, 20).transitions)
    layer = sac.policy.encoder.layers[0]
    before = layer.weight.clone()
    numbers = sac.update(buffer.sample(32))
    assert not torch.equal(layer.weight, before)
    # By predicting what only the simulation knows, where that may be used.
    assert ("auxiliary_loss" in numbers) == privileged


def test_images_of_a_dataset_are_encoded_once_each(env, tmp_path, monkeypatch):
    words = ["record", "--repo-id", "me/demo", "--root", str(tmp_path / "data"), "--device", "scripted", "--seed", "0"]
    assert gym_hil_main([*words, "--task", "PandaPickCube-v1", "--episodes", "1"]) == 0
    one = env(encoder=SOURCE, privileged=False)
    encode, encoded = one.encoder.encode, []
    monkeypatch.setattr(one.encoder, "encode", lambda views: encoded.append(views) or encode(views))
    ends = {"action_scale": one.action_scale}
    (rollout,) = read_demonstrations(
        tmp_path / "data", one.layout, **ends, discount=0.97, n_step=1, encoder=one.encoder
    )
    (episode,) = EpisodeDataset(tmp_path / "data")
    assert len(encoded) == len(rollout.transitions) + 1 == len(episode) + 1
    first = rollout.transitions.rows[0, : one.layout.state_size]
    # The dataset's images went through a video.
    np.testing.assert_allclose(first, one.reset(episode.record.seed).state, atol=0.5)


def saved(path, env):
    torch.manual_seed(1)
    policy = Policy(PolicyShape(env.layout, env.actions, width=16))
    ends = {"action_scale": env.action_scale}
    provenance = {"task": "PandaPickCube-v1", "obs": "pixels"}
    save_policy(path, policy, **ends, provenance=provenance, encoder=env.encoder)
    return policy


def test_a_policy_imports_its_encoder_and_refuses_other_weights(env, write, tmp_path):
    one = env(encoder=write("vision", ""))
    policy = saved(tmp_path / "policy.safetensors", one)
    observation, _ = one.env.reset(seed=4)
    expected = one.action_scale.to_env(act(policy, one.reset(4), greedy=True))
    np.testing.assert_allclose(load_policy(tmp_path).act(observation), expected, atol=1e-5)
    description = json.loads((tmp_path / "policy.json").read_text())
    assert description["provenance"]["encoder"] == {"source": "vision:network", "sha256": one.encoder.sha256}
    write("vision", "network = lambda make=network: make(5)")
    with pytest.raises(CheckpointError, match=r"vision:network with weights of sha256 \w{64}.*Restore"):
        load_policy(tmp_path)
    (tmp_path / "vision.py").unlink()
    sys.modules.pop("vision")
    with pytest.raises(CheckpointError, match=r"encoder .* is missing.*vision:network cannot be imported.*PYTHONPATH"):
        load_policy(tmp_path)


def test_what_was_learned_with_other_weights_is_refused(env, write, small):
    states = []
    for seed in (3, 16):  # of another length: a module of the same size in the same second is taken from the cache
        one = env(encoder=write("vision", f"network = lambda make=network: make({seed})"))
        learner = Learner(LearnerSetup(small(obs="pixels", encoder="vision:network"), one.layout, one.actions))
        states.append(learner.state_dict())
    learner.load_state_dict(states[1], {})
    with pytest.raises(CheckpointError, match="the frozen encoder has other weights than in training"):
        learner.load_state_dict(states[0], {})


def test_a_process_that_finds_other_weights_says_so(env, write, small):
    one = env(encoder=write("vision", ""))
    config = small(obs="pixels", encoder="vision:network", encoder_size=SIZE)
    setup = LearnerSetup(config, one.layout, one.actions)
    write("vision", "network = lambda make=network: make(5)")
    evaluator = Evaluator(config, setup.shape)
    try:
        weights = Learner(setup).weights()
        with pytest.raises(ConfigurationError, match="Use the same encoder with the same weights"):
            evaluator.result(evaluator.start(weights, episodes=1, seed=0))
    finally:
        evaluator.close()


@pytest.mark.slow
def test_a_run_trains_through_an_encoder_and_its_policy_is_evaluated(tmp_path, capsys):
    out = tmp_path / "run"
    words = {
        "--obs": "pixels", "--encoder": SOURCE, "--encoder-size": SIZE, "--steps": 20, "--demos": 1,
        "--evaluation.every": 1000, "--evaluation.episodes": 1, "--max-episode-steps": 30, "--threads": 1,
        "--agent.batch-size": 16, "--agent.width": 16, "--agent.buffer-capacity": 500, "--mixed-precision": "off",
    }  # fmt: skip
    flat = [str(word) for pair in words.items() for word in pair]
    assert main(["train", "--out", str(out), "--no-tensorboard", *flat]) == 0
    assert [row["purpose"] for row in read_metrics(out) if row["kind"] == "evaluation"] == ["full", "final"]
    (checkpoint,) = checkpoints(out)[-1:]
    assert read_learner_state(checkpoint)[0]["buffers"]["online"]["added"] == 20
    assert (out / "report" / "evaluation.mp4").exists()
    capsys.readouterr()
    assert main(["eval", str(out), "--episodes", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] in ("successes: 0/1", "successes: 1/1")
