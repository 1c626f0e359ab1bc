"""Augmented images are shifted and lit by chance, each on its own."""

from __future__ import annotations

import pytest
import torch

from hil_trainer.reward_classifier.augmentation import augmented


@pytest.fixture
def images() -> torch.Tensor:
    """Each pixel tells where it is: red its row, green its column."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(20), indexing="ij")
    return (torch.stack([rows, columns, rows * 0]) + 100).to(torch.uint8).expand(30, 2, 3, 16, 20).contiguous()


def test_nothing_changes_without_a_shift_and_other_light(images: torch.Tensor) -> None:
    made = augmented(images, shift=0, brightness=0.0, generator=torch.Generator())
    torch.testing.assert_close(made, images.float() / 255)


def test_images_are_shifted_each_on_its_own_and_the_border_repeats(images: torch.Tensor) -> None:
    made = (augmented(images, shift=3, brightness=0.0, generator=torch.Generator().manual_seed(0)) * 255).round() - 100
    down, right = made[:, :, 0, 8, 0] - 8, made[:, :, 1, 0, 10] - 10
    assert set(down.flatten().tolist()) == set(right.flatten().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    assert (down[:, 0] != down[:, 1]).any()
    assert (down != right).any()
    rows = (torch.arange(16) + down[..., None]).clamp(0, 15)
    torch.testing.assert_close(made[:, :, 0], rows[..., None].expand(-1, -1, -1, 20))


def test_images_are_lit_otherwise_within_bounds(images: torch.Tensor) -> None:
    made = augmented(images, shift=0, brightness=0.2, generator=torch.Generator().manual_seed(0))
    light = made[:, :, 2, 0, 0]
    assert light.unique().numel() == 60
    assert (light - 100 / 255).abs().max() <= 0.2 * 100 / 255 + 0.1
    white = augmented(images * 0 + 255, shift=0, brightness=0.2, generator=torch.Generator())
    assert white.max() <= 1


def test_the_same_seed_brings_the_same(images: torch.Tensor) -> None:
    one, other = (
        augmented(images, shift=2, brightness=0.2, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(one, other)
