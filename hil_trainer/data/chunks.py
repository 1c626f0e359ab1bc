"""Action chunks: windows of consecutive steps, drawn from a replay buffer."""

from __future__ import annotations

import torch

from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import DISCOUNT, GRIPPER_PENALTY, IS_INTERVENTION, NUMBER, ChunkReturns, Chunks


def sample_chunks(buffer: ReplayBuffer, count: int, length: int, *, returns: bool = False) -> Chunks:
    """Draw windows that begin at any stored step, uniformly and with replacement.

    A window goes on as long as the steps in the buffer follow each other: to the end of the episode, or to a step that
    is not stored.

    Args:
        buffer: to draw from. Of encoded images, one of the stored copies is drawn, too.
        count: of windows.
        length: steps of a window, h.
        returns: also what critics learn from; the buffer's transitions are of one step.
    """
    rows, device = buffer.rows, buffer.device
    starts = torch.randint(0, len(buffer), (count,), generator=buffer.generator)
    copies = torch.zeros(count, dtype=torch.long)
    if buffer.images is not None and buffer.images.is_floating_point():
        copies = torch.randint(0, buffer.images.shape[1], (count,), generator=buffer.generator)
    starts, steps = starts.to(device), torch.arange(length, device=device)
    places = (starts[:, None] + steps) % len(buffer)
    numbers = rows[:, NUMBER][places]
    follows = (numbers == numbers[:, :1] + steps).float()
    first = buffer.format.batch(rows[starts], None)
    images = None if buffer.images is None else buffer.images[starts, copies.to(device)]
    return Chunks(
        first.observation._replace(images=images),
        rows[:, buffer.format.action_columns][places] * follows[..., None],
        rows[:, IS_INTERVENTION][places] * follows,
        _returns(buffer, places, follows) if returns else None,
    )


def _returns(buffer: ReplayBuffer, places: torch.Tensor, follows: torch.Tensor) -> ChunkReturns:
    rows, images = buffer.rows, buffer.images
    # gamma, and 0 where the episode terminated; what is behind the window's end changes nothing.
    discounts = torch.where(follows > 0, rows[:, DISCOUNT][places], 1.0).cumprod(1)
    before = torch.cat([torch.ones_like(discounts[:, :1]), discounts[:, :-1]], 1)
    rewards = (rows[:, buffer.format.reward_column] + rows[:, GRIPPER_PENALTY])[places]
    last = places.gather(1, follows.sum(1, keepdim=True).long() - 1)[:, 0]
    has_next = torch.ones_like(last, dtype=torch.bool)
    next_images = None
    if images is not None and images.is_floating_point():
        # Of encoded images only those before a step are stored: the ones after it are those before the next step.
        following = (last + 1) % len(buffer)
        has_next = rows[following, NUMBER] == rows[last, NUMBER] + 1
        next_images = images[following, 0]
    elif images is not None:
        next_images = images[last, 1]
    terminated = discounts[:, -1] == 0
    return ChunkReturns(
        (before * rewards * follows).sum(1),
        discounts[:, -1],
        buffer.format.batch(rows[last], None).next_observation._replace(images=next_images),
        follows,
        (((follows[:, -1] > 0) & has_next) | terminated).float(),
    )
