"""A window in which an operator draws a rectangle on each camera's image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.images import Region
from gym_hil.errors import ConfigurationError

SIDE = 640  # pixels, the longer side of an image on the screen
_LINE = 28  # pixels, of text
_INK, _GREY, _PAPER, _MARK = (236, 240, 243), (122, 134, 147), (18, 24, 31), (46, 204, 113)
LEGEND = "drag a rectangle    Enter: take it    Esc: leave this camera as it is"


def choose_regions(images: Mapping[str, NDArray[np.uint8]]) -> dict[str, Region]:
    """Ask for the region of each camera, one after the other.

    Args:
        images: feature -> (height, width, 3).

    Returns:
        Feature -> region, of the cameras that are not left as they are.

    Raises:
        ConfigurationError: no window can open, or the operator closes it.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    try:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_caption("gym-hil crop")
        chosen = {
            key: _choose(pygame, f"{key}   ({number} of {len(images)})", image)
            for number, (key, image) in enumerate(images.items(), start=1)
        }
    except pygame.error as error:
        raise ConfigurationError(f"No window opens here: {error}. Give the regions by --roi.") from error
    finally:
        pygame.display.quit()
    return {key: region for key, region in chosen.items() if region is not None}


def rectangle(
    corner: tuple[int, int], opposite: tuple[int, int], scale: float, shape: tuple[int, ...]
) -> Region | None:
    """The region between two points of the screen.

    Args:
        corner: x and y on the scaled image; may lie outside.
        opposite: likewise.
        scale: pixels of the screen to one of the image.
        shape: height and width of the image.

    Returns:
        What of it lies in the image, to whole pixels of it; None if that is less than one.
    """
    (left, right), (top, bottom) = (
        sorted(min(max(round(point[axis] / scale), 0), shape[1 - axis]) for point in (corner, opposite))
        for axis in (0, 1)
    )
    if right == left or bottom == top:
        return None
    return Region(top, left, bottom - top, right - left)


def _choose(pygame: Any, title: str, image: NDArray[np.uint8]) -> Region | None:
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    screen = pygame.display.set_mode((size[0], size[1] + 2 * _LINE))
    surface = pygame.transform.scale(pygame.image.frombuffer(np.ascontiguousarray(image), (width, height), "RGB"), size)
    font = pygame.font.Font(None, 24)
    region: Region | None = None
    start: tuple[int, int] | None = None
    while True:
        _draw(pygame, screen, surface, font, scale, title, region)
        event = pygame.event.wait()
        if event.type == pygame.QUIT:
            raise ConfigurationError("The window was closed before every camera had its region; nothing was written.")
        if event.type == pygame.KEYDOWN:
            if event.key == pygame.K_ESCAPE:
                return None
            if event.key in (pygame.K_RETURN, pygame.K_KP_ENTER) and region is not None:
                return region
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            start, region = event.pos, None
        elif event.type in (pygame.MOUSEMOTION, pygame.MOUSEBUTTONUP) and start is not None:
            region = rectangle(start, event.pos, scale, (height, width))
            if event.type == pygame.MOUSEBUTTONUP:
                start = None


def _draw(pygame: Any, screen: Any, surface: Any, font: Any, scale: float, title: str, region: Region | None) -> None:
    screen.fill(_PAPER)
    screen.blit(surface, (0, 0))
    told = title
    if region is not None:
        top, left, height, width = region
        frame = pygame.Rect(round(left * scale), round(top * scale), round(width * scale), round(height * scale))
        # What is cut away is darkened, so that the rest is seen as the policy will see it.
        shade = pygame.Surface(surface.get_size(), pygame.SRCALPHA)
        shade.fill((*_PAPER, 150))
        shade.fill((0, 0, 0, 0), frame)
        screen.blit(shade, (0, 0))
        pygame.draw.rect(screen, _MARK, frame, width=2)
        told += f"   top {top}, left {left}, height {height}, width {width}"
    bottom = surface.get_height()
    for line, (text, colour) in enumerate([(told, _INK), (LEGEND, _GREY)]):
        screen.blit(font.render(text, True, colour), (8, bottom + line * _LINE + 6))
    pygame.display.flip()
