"""A classifier takes images of any size and says what it lacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.reward_classifier.model import IMAGE_SIZES, ClassifierShape, RewardClassifier, prepared

SHAPE = ClassifierShape(("front", "wrist"), 32, 3)


@pytest.fixture
def classifier() -> RewardClassifier:
    torch.manual_seed(0)
    return RewardClassifier(SHAPE, members=2).eval()


def observations(count: int = 5, size: int = 48) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    images = {camera: rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8) for camera in SHAPE.cameras}
    return images, rng.normal(size=(count, 3))


def test_many_and_one_are_judged_alike(classifier: RewardClassifier) -> None:
    images, states = observations()
    probabilities = classifier.probabilities(images, states)
    assert probabilities.shape == (5,)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    for number in range(5):
        one = {camera: stack[number] for camera, stack in images.items()}
        assert classifier.probability(one, states[number]) == pytest.approx(probabilities[number], abs=1e-5)
    assert classifier.probabilities({camera: stack[:0] for camera, stack in images.items()}, states[:0]).shape == (0,)


def test_the_log_odds_of_the_members_are_averaged(classifier: RewardClassifier) -> None:
    images, states = torch.rand(4, 2, 3, 32, 32), torch.rand(4, 3)
    members = [member(images, states) for member in classifier.members]
    torch.testing.assert_close(classifier(images, states), (members[0] + members[1]) / 2)


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_every_image_size_works_without_a_state(size: int) -> None:
    classifier = RewardClassifier(ClassifierShape(("front",), size))
    images, _ = observations(2)
    assert classifier.probabilities(images).shape == (2,)


def test_images_are_averaged_to_size() -> None:
    image = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    image[0, ::2] = 200
    assert (prepared(image, 32) == 100).all()
    assert torch.equal(prepared(image, 64)[0], torch.from_numpy(image[0]).permute(2, 0, 1))


def test_a_missing_camera_is_told(classifier: RewardClassifier) -> None:
    images, states = observations()
    with pytest.raises(ConfigurationError, match="no image of wrist"):
        classifier.probabilities({"front": images["front"]}, states)


@pytest.mark.parametrize("state", [None, np.zeros((5, 4)), np.zeros((4, 3))])
def test_another_state_is_told(classifier: RewardClassifier, state: np.ndarray | None) -> None:
    with pytest.raises(ConfigurationError, match=r"expects \(5, 3\)"):
        classifier.probabilities(observations()[0], state)


@pytest.mark.parametrize("images", [np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8, 3), np.float32)])
def test_what_is_no_image_is_told(images: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match=r"expected \(n, height, width, 3\) uint8"):
        prepared(images, 32)


@pytest.mark.parametrize(
    ("shape", "told"), [(((),), "cameras"), ((("a", "a"),), "cameras"), ((("a",), 48), "48"), ((("a",), 32, -1), "-1")]
)
def test_a_shape_that_cannot_work_is_told(shape: tuple, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        ClassifierShape(*shape)


def test_a_classifier_needs_a_member() -> None:
    with pytest.raises(ConfigurationError, match="members is 0"):
        RewardClassifier(SHAPE, members=0)
