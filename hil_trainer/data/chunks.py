"""Action chunks: windows of consecutive steps, drawn from a replay buffer."""

from __future__ import annotations

import torch

from hil_trainer.data.replay_buffer import ReplayBuffer
from hil_trainer.data.transitions import IS_INTERVENTION, NUMBER, Chunks


def sample_chunks(buffer: ReplayBuffer, count: int, length: int) -> Chunks:
    """Draw windows that begin at any stored step, uniformly and with replacement.

    A window goes on as long as the steps in the buffer follow each other: to the end of the episode, or to a step that
    is not stored.

    Args:
        buffer: to draw from. Of encoded images, one of the stored copies is drawn, too.
        count: of windows.
        length: steps of a window, h.
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
    )
