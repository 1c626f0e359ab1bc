"""An encoder that somebody has trained already is used as it is."""

import json
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gym_hil.cli import main as gym_hil_main
from gym_hil.datasets import EpisodeDataset
from gym_hil.errors import ConfigurationError
from hil_trainer.agents.frozen_encoder import load_encoder
from hil_trainer.agents.policy import Policy, PolicyShape
from hil_trainer.agents.policy_file import load_policy, save_policy
from hil_trainer.agents.sac import SAC, SACConfig
from hil_trainer.checkpoints import checkpoints, read_learner_state
from hil_trainer.cli import main
from hil_trainer.config import NOBODY, TrainConfig
from hil_trainer.data.demonstrations import read_demonstrations
from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.errors import CheckpointError
from hil_trainer.learner.learner import Learner, LearnerSetup
from hil_trainer.logging.metrics import read_metrics
from hil_trainer.rollout.actor import Actor
from hil_trainer.rollout.env import RolloutEnv
from hil_trainer.rollout.evaluation import Evaluator, Greedy, evaluate, evaluation_env

SIZE, NUMBERS = 32, 24
MODULE = """
    import torch
    from torch import nn

    def network():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=4),
            nn.Dropout(), nn.AdaptiveAvgPool2d(2),
        )
    """


class Scaled(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, images):
        return (images * self.by).mean((2, 3))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules that can be imported during the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def make(name, text):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        sys.modules.pop(name, None)
        written.append(name)
        return f"{name}:network"

    yield make
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def network():
    made = {}
    exec(textwrap.dedent(MODULE), made)
    return made["network"]().eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory, network):
    """Kind -> a file with the network: for any number of images, and for one."""
    folder = tmp_path_factory.mktemp("exported")
    any_number = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    for name, images, options in (("any", 2, any_number), ("one", 1, {})):
        program = torch.export.export(network, (torch.zeros(images, 3, SIZE, SIZE),), **options)
        torch.export.save(program, folder / f"{name}.pt2")
    return {name: str(folder / f"{name}.pt2") for name in ("any", "one")}


def images(views=2, size=SIZE):
    return np.random.default_rng(0).integers(0, 256, (views, size, size, 3), np.uint8)


@pytest.mark.parametrize("kind", ["any", "one", "function"])
def test_the_numbers_are_the_network_s_brought_to_one_size(exported, network, write, kind):
    encoder = load_encoder(write("vision", MODULE) if kind == "function" else exported[kind], SIZE)
    given = torch.from_numpy(images()).permute(0, 3, 1, 2) / 255
    expected = functional.layer_norm(network(given).flatten(1), (NUMBERS,)).detach()
    found = encoder.encode(images())
    assert encoder.numbers == NUMBERS
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-5)
    assert (encoder.program is None) == (kind == "function")


def test_a_file_and_a_function_with_the_same_weights_are_known_by_the_same_hash(exported, write):
    ours = [load_encoder(source, SIZE).sha256 for source in (*exported.values(), write("vision", MODULE))]
    other = load_encoder(write("other", MODULE.replace("manual_seed(3)", "manual_seed(4)")), SIZE).sha256
    assert len({*ours}) == 1
    assert other not in ours


def test_an_encoder_learns_nothing_and_leaves_random_numbers_alone(write):
    before = torch.get_rng_state()
    encoder = load_encoder(write("vision", MODULE), SIZE)
    assert torch.equal(torch.get_rng_state(), before)
    assert not encoder._network.training
    assert not any(one.requires_grad for one in encoder._network.parameters())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def other(): pass", "no function network"),
        ("network = 3", "no function network"),
        ("import nothing_of_the_kind", "cannot be imported.*No module named 'nothing_of_the_kind'.*PYTHONPATH"),
        ("def network(size): pass", "cannot be made.*without arguments"),
        ("def network(): return 3", "returns int; expected a torch.nn.Module"),
        ("from torch import nn\ndef network(): return nn.Linear(7, 2)", "fails on images of 32 x 32 pixels"),
        ("from torch import nn\ndef network(): return nn.LSTM(32, 2)", "fails on images of 32 x 32 pixels"),
        ("from torch import nn\ndef network(): return nn.Flatten(0)", "returns the shape .*; expected"),
        ("from torch import nn\ndef network(): return nn.AdaptiveMaxPool2d(2, return_indices=True)", "returns tuple"),
        ("from torch import nn\ndef network(): return nn.Upsample(40)", "4800 numbers; expected 2 to 4096.*pooling"),
        ("from tests.hil_trainer.test_frozen_encoder import Scaled\ndef network(): return Scaled(1e39)", "not finite"),
        ("from torch import nn\ndef network(): return nn.RReLU().requires_grad_", "returns method"),
    ],
)
def test_a_function_that_gives_no_encoder_is_refused(write, text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_encoder(write("unfit", text), SIZE)


def test_an_encoder_that_throws_dice_is_refused(write):
    text = """
        import torch
        class Dice(torch.nn.Module):
            def forward(self, images):
                return torch.rand(len(images), 8)
        network = Dice
        """
    with pytest.raises(ConfigurationError, match="other numbers each time"):
        load_encoder(write("dice", text), SIZE)


def test_a_file_that_holds_no_encoder_is_refused(exported, tmp_path):
    def refused(name, message, size=SIZE):
        with pytest.raises(ConfigurationError, match=message):
            load_encoder(str(tmp_path / name), size)

    refused("missing.pt2", r"missing.pt2 cannot be read \(No such file")
    (tmp_path / "text.pt2").write_text("nothing of the kind")
    refused("text.pt2", "holds no program. Write it with torch.export.save")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.pt2")
    refused("weights.pt2", "holds no program. Write it with torch.export.save")
    with zipfile.ZipFile(tmp_path / "damaged.pt2", "w") as file:
        file.writestr("damaged/archive_format", "pt2")
    refused("damaged.pt2", "cannot be loaded by torch")
    refused("network.pth", r"expected imagenet, a file \*.pt2 of torch.export.save, or package.module:function")
    with pytest.raises(ConfigurationError, match=r"fails on images of 48 x 48 pixels.*--encoder-size"):
        load_encoder(exported["any"], 48)


def test_a_program_that_still_learns_is_refused(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1)).train()
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, SIZE, SIZE),)), tmp_path / "learns.pt2")
    with pytest.raises(ConfigurationError, match=r"changes when it is used. Call eval\(\)"):
        load_encoder(str(tmp_path / "learns.pt2"), SIZE)


def test_an_encoder_is_for_images(small):
    with pytest.raises(ConfigurationError, match="an encoder is for images: --obs pixels"):
        TrainConfig(encoder="vision:network")
    with pytest.raises(ConfigurationError, match="encoder_size is 0"):
        small(encoder_size=0)


@pytest.fixture
def env(small):
    made = []

    def make(**settings):
        config = small(obs="pixels", encoder_size=SIZE, demos="0", **settings)
        made.append(RolloutEnv(config, operator=NOBODY))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("privileged", [True, False])
def test_views_are_numbers_that_policy_and_critics_see(env, exported, small, privileged):
    one = env(encoder=exported["any"], privileged=privileged)
    layout = one.layout
    assert layout.numbers[-2:] == (("encoded.front", NUMBERS), ("encoded.wrist", NUMBERS))
    assert (layout.cameras, layout.image_shape, layout.views) == ((), None, ("front", "wrist"))
    assert bool(layout.privileged) == privileged
    obs = one.reset(0)
    assert obs.images is None
    assert obs.numbers.shape == (layout.numbers_size,)
    views = obs.numbers[-2 * NUMBERS :].reshape(2, NUMBERS)
    np.testing.assert_allclose(views.std(1), 1, atol=1e-2)
    assert np.abs(views[0] - views[1]).max() > 0.1
    sac = SAC(layout, one.actions, SACConfig(width=16))
    assert sac.policy.shape.layout.privileged == ()
    numbers, hidden = (torch.from_numpy(part)[None] for part in (obs.numbers, obs.privileged))
    other = torch.cat([numbers[:, : -2 * NUMBERS], torch.randn(1, 2 * NUMBERS)], -1)
    # The policy sees them through a layer that is learned; critics too, unless they know better.
    assert not torch.equal(sac.policy.see(numbers), sac.policy.see(other))
    assert torch.equal(sac._critic_sees(numbers, hidden, None), sac._critic_sees(other, hidden, None)) == privileged
    if not privileged:
        assert torch.equal(sac._critic_sees(numbers, hidden, None), sac.policy.see(numbers))
    # They are no part of what is sent with every set of weights.
    assert sac.policy.features.matrix.shape[1] == 18


@pytest.mark.parametrize("privileged", [True, False])
def test_the_layer_behind_an_encoder_is_learned(env, exported, privileged):
    one = env(encoder=exported["any"], privileged=privileged)
    torch.manual_seed(0)
    sac = SAC(one.layout, one.actions, SACConfig(width=16))
    buffer = ReplayBuffer(one.layout, one.actions, 64, seed=0)
    actor = Actor(one, discount=0.97, n_step=1, seed=np.random.SeedSequence(0))
    buffer.add(actor.run(sac.policy, 20).transitions)
    layer = sac.policy.encoder.layers[0]
    before = layer.weight.clone()
    told = sac.update(buffer.sample(32))
    assert not torch.equal(layer.weight, before)
    # By predicting what only the simulation knows, where that may be used.
    assert ("auxiliary_loss" in told) == privileged


def test_images_of_a_dataset_are_encoded_once_each(env, exported, tmp_path, monkeypatch):
    words = ["record", "--repo-id", "me/demo", "--root", str(tmp_path / "data"), "--device", "scripted", "--seed", "0"]
    assert gym_hil_main([*words, "--task", "PandaPickCube-v1", "--episodes", "1"]) == 0
    one = env(encoder=exported["any"], privileged=False)
    encode, encoded = one.encoder.encode, []
    monkeypatch.setattr(one.encoder, "encode", lambda views: encoded.append(views) or encode(views))
    ends = {"action_low": one.action_low, "action_high": one.action_high}
    (rollout,) = read_demonstrations(
        tmp_path / "data", one.layout, **ends, discount=0.97, n_step=1, encoder=one.encoder
    )
    (episode,) = EpisodeDataset(tmp_path / "data")
    assert len(encoded) == len(rollout.transitions) + 1 == len(episode) + 1
    first = rollout.transitions[0].obs.numbers
    # The dataset's images went through a video.
    np.testing.assert_allclose(first, one.reset(episode.record.seed).numbers, atol=0.5)
    assert rollout.transitions[0].following is rollout.transitions[1].obs


def saved(path, env):
    torch.manual_seed(1)
    policy = Policy(PolicyShape(env.layout, env.actions, width=16))
    ends = {"action_low": env.action_low, "action_high": env.action_high}
    provenance = {"task": "PandaPickCube-v1", "obs": "pixels"}
    save_policy(path, policy, **ends, provenance=provenance, encoder=env.encoder)
    return policy


def test_an_encoder_from_a_file_is_part_of_the_policy_s_file(env, exported, tmp_path):
    copy = tmp_path / "encoder.pt2"
    with open(exported["any"], "rb") as file:
        copy.write_bytes(file.read())
    one = env(encoder=str(copy))
    policy = saved(tmp_path / "policy.safetensors", one)
    copy.unlink()
    loaded = load_policy(tmp_path)
    observation, _ = one.env.reset(seed=4)
    expected = policy.act(one.reset(4), greedy=True) * one._half + one._middle
    np.testing.assert_allclose(loaded.act(observation), expected, atol=1e-5)
    description = json.loads((tmp_path / "policy.json").read_text())
    assert description["provenance"]["encoder"] == {"source": str(copy), "sha256": one.encoder.sha256}


def test_an_encoder_from_a_function_is_looked_for_and_has_to_be_the_same(env, write, tmp_path, monkeypatch):
    one = env(encoder=write("vision", MODULE))
    saved(tmp_path / "policy.safetensors", one)
    observation, _ = one.env.reset(seed=4)
    assert load_policy(tmp_path).act(observation).shape == (one.actions,)
    write("vision", MODULE.replace("manual_seed(3)", "manual_seed(5)"))
    with pytest.raises(CheckpointError, match=r"vision:network as it was.*sha256 \w{64}.*Bring back"):
        load_policy(tmp_path)
    (tmp_path / "vision.py").unlink()
    sys.modules.pop("vision")
    with pytest.raises(CheckpointError, match=r"cannot see. The encoder vision:network cannot be imported.*PYTHONPATH"):
        load_policy(tmp_path)


def test_what_was_learned_with_other_weights_is_refused(env, write, small):
    states = []
    for seed in (3, 6):
        one = env(encoder=write("vision", MODULE.replace("manual_seed(3)", f"manual_seed({seed})")))
        learner = Learner(LearnerSetup(small(obs="pixels", encoder="vision:network"), one.layout, one.actions))
        states.append(learner.state_dict())
    learner.load_state_dict(states[1])
    with pytest.raises(CheckpointError, match="the frozen encoder has other weights than then"):
        learner.load_state_dict(states[0])


def test_a_process_that_finds_other_weights_says_so(env, write, small):
    one = env(encoder=write("vision", MODULE))
    config = small(obs="pixels", encoder="vision:network", encoder_size=SIZE)
    setup = LearnerSetup(config, one.layout, one.actions)
    write("vision", MODULE.replace("manual_seed(3)", "manual_seed(5)"))
    evaluator = Evaluator(config, setup.shape)
    try:
        weights = Learner(setup).weights()
        with pytest.raises(ConfigurationError, match="Both have to be the same, with the same weights"):
            evaluator.result(evaluator.start(weights, episodes=1, seed=0))
    finally:
        evaluator.close()


def test_a_run_sees_through_it_goes_on_and_leaves_a_policy_that_acts(exported, tmp_path, capsys):
    out = tmp_path / "run"
    words = {
        "--obs": "pixels", "--encoder": exported["one"], "--encoder-size": SIZE, "--steps": 20, "--demos": 1,
        "--evaluate-every": 1000, "--full-episodes": 1, "--threads": 1, "--batch": 16, "--sac.width": 16,
        "--capacity": 500, "--mixed-precision": "off",
    }  # fmt: skip
    flat = [str(word) for pair in words.items() for word in pair]
    assert main(["train", "--out", str(out), "--no-tensorboard", *flat]) == 0
    assert main(["train", "--out", str(out), "--resume", "--steps", "30"]) == 0
    rows = read_metrics(out)
    assert [row["step"] for row in rows if row["kind"] == "evaluation"] == [20, 30]
    states = [read_learner_state(path) for path in checkpoints(out)]
    assert [state["online"]["added"] for state in states] == [20, 30]
    assert torch.equal(states[0]["online"]["rows"][:20], states[1]["online"]["rows"][:20])
    assert (out / "report" / "evaluation.mp4").exists()
    capsys.readouterr()
    assert main(["eval", str(out), "--episodes", "1", "--video", str(tmp_path / "film.mp4")]) == 0
    told = capsys.readouterr().out.splitlines()
    loaded = load_policy(out)
    config = TrainConfig(obs="pixels", demos="0")
    one = evaluation_env(config, encoder=loaded.encoder)
    here = evaluate(one, Greedy(loaded.policy), episodes=1, seed=0)
    assert told[-1] == f"successes: {here.successes}/1"
    observation, _ = one.env.reset(seed=0)
    assert one.env.action_space.contains(loaded.act(observation))
    one.close()
