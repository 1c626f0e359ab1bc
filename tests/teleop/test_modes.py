"""The three modes decide as their names say."""

import pytest

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.modes import MODES, RELEASE_DELAY, InterventionMode


def update(
    mode: InterventionMode, *, presses: int = 0, held: bool = False, moving: bool = False, now: float = 0.0
) -> bool:
    return mode.update(presses=presses, held=held, moving=moving, now=now)


def test_toggle_ignores_how_long_the_button_is_held() -> None:
    mode = InterventionMode("toggle")
    assert update(mode, presses=1, held=True)
    assert update(mode, held=True)
    assert update(mode)
    assert not update(mode, presses=1)


def test_two_presses_between_two_polls_cancel() -> None:
    assert not update(InterventionMode("toggle"), presses=2)


def test_motion_alone_engages_neither_toggle_nor_hold() -> None:
    assert not update(InterventionMode("toggle"), moving=True)
    assert not update(InterventionMode("hold"), moving=True)


def test_auto_lets_go_half_a_second_after_the_last_input() -> None:
    mode = InterventionMode("auto")
    assert update(mode, moving=True, now=1.0)
    assert update(mode, now=1.0 + 0.98 * RELEASE_DELAY)
    assert not update(mode, now=1.0 + RELEASE_DELAY)
    assert not update(mode, now=1.0 + RELEASE_DELAY)


def test_auto_needs_no_button() -> None:
    assert not update(InterventionMode("auto"), presses=1, held=True)


@pytest.mark.parametrize("name", ["toggle", "auto"])
def test_end_lets_go(name: str) -> None:
    mode = InterventionMode(name)
    assert update(mode, presses=1, moving=True)
    mode.end()
    assert not update(mode)


def test_end_does_not_let_go_of_a_held_button() -> None:
    mode = InterventionMode("hold")
    assert update(mode, presses=1, held=True)
    mode.end()
    assert update(mode, held=True)


def test_unknown_mode_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'always'; expected one of 'toggle', 'hold', 'auto'"):
        InterventionMode("always")
    assert set(MODES) == {"toggle", "hold", "auto"}
