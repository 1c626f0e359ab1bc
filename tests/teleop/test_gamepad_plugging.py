"""Gamepads that come and go, others that use pygame, and the end of the process."""

import logging
import os
import subprocess
import sys

import pytest

from gym_hil.teleop import Event
from gym_hil.teleop.gamepad_sdl import JOYSTICKS
from tests.teleop.virtual_pad import GAME_CONTROLLER
from tests.teleop.waiting import wait_for

RB, Y = 5, 3
LEFT_Y, LT = 1, 2


def test_known_controller_is_preferred_to_other_joysticks(plug, make):
    plug("Throttle")
    plug("A pad without an entry", kind=GAME_CONTROLLER)
    plug("PS4 Controller")
    assert make().connected == "PS4 Controller"


def test_joystick_that_cannot_drive_is_replaced_by_a_pad_that_can(plug, make, caplog):
    plug("Touch screen", axes=0, buttons=3)
    gamepad = make()
    assert gamepad.connected == "Touch screen"
    plug("Throttle", axes=1, buttons=2)
    gamepad.poll()
    assert gamepad.connected == "Touch screen"
    pad = plug("A pad with an unknown name")
    gamepad.poll()
    assert gamepad.connected == pad.name
    assert "is used instead of Touch screen, which cannot drive" in caplog.text
    plug("PS4 Controller")
    gamepad.poll()
    assert gamepad.connected == pad.name  # one that can drive stays in use
    pad.tap(RB)
    assert gamepad.poll().engaged


def test_start_without_a_pad_is_said_once_and_it_is_picked_up_when_it_comes(plug, make, caplog):
    gamepad = make()
    for _ in range(3):
        assert not gamepad.poll().engaged
    assert caplog.text.count("No gamepad is connected") == 1
    pad = plug()
    wait_for(lambda: "Gamepad Xbox 360 Controller is used" in caplog.text)  # between two polls
    pad.tap(RB)
    assert gamepad.poll().engaged


def test_unplugging_lets_go_of_everything_and_says_so(pad, gamepad, caplog):
    pad.tap(RB)
    pad.axis(LEFT_Y, -1.0)
    pad.axis(LT, 1.0)
    assert gamepad.poll().engaged
    pad.unplug()
    command = gamepad.poll()
    assert (command.engaged, command.gripper, bool(command.motion.any())) == (True, 0, False)
    assert gamepad.connected is None
    assert [record.levelno for record in caplog.records if "is gone" in record.message] == [logging.WARNING]


def test_button_held_while_plugged_in_is_no_press(plug, make):
    gamepad = make(intervention="hold")
    pad = plug()
    pad.button(RB, True)
    pad.flush()
    gamepad.poll()
    pad.button(RB, False)
    gamepad.poll()
    pad.button(RB, True)
    assert gamepad.poll().engaged


def test_two_gamepad_devices_share_one_pad(pad, make):
    first, second = make(), make()
    pad.tap(Y)
    assert first.poll().events == second.poll().events == (Event.SUCCESS,)
    first.close()
    first.close()  # does no harm
    pad.tap(Y)
    assert (first.poll().events, second.poll().events) == ((), (Event.SUCCESS,))


def test_press_that_other_code_took_from_the_queue_is_still_found(pad, make):
    import pygame

    gamepad = make(intervention="hold")
    with JOYSTICKS._lock:
        pad.button(RB, True)
        pygame.event.get()
    gamepad.poll()
    assert gamepad.poll().engaged
    with JOYSTICKS._lock:
        pad.unplug()
        pygame.event.get()
    gamepad.poll()
    assert gamepad.connected is None


def test_events_of_others_stay_in_pygames_queue(pad, gamepad):
    import pygame

    pygame.event.clear()
    pygame.event.post(pygame.event.Event(pygame.USEREVENT, number=7))
    pad.tap(Y)
    gamepad.poll()
    assert [event.number for event in pygame.event.get(pygame.USEREVENT)] == [7]


def test_pygame_shut_down_by_others_is_survived(pad, gamepad):
    import pygame

    pad.tap(RB)
    assert gamepad.poll().engaged
    with JOYSTICKS._lock:
        pygame.quit()
        assert not gamepad.poll().motion.any()
        gamepad.poll()
        pad.revive()
    gamepad.poll()
    pad.tap(RB)
    assert not gamepad.poll().engaged  # it was engaged all the while


def test_program_that_starts_and_stops_pygame_itself_goes_on():
    code = """
import threading, time
import gymnasium as gym, pygame, gym_hil
errors = []
threading.excepthook = errors.append
env = gym.make("gym_hil/PandaPickCube-v1", device="gamepad", reset_delay_seconds=0)
for _ in range(3):
    pygame.init()
    env.reset(seed=0)
    pygame.quit()
    for _ in range(3):
        env.step(env.action_space.sample())
        time.sleep(0.1)
assert not errors, errors
assert "gym_hil gamepads" in [thread.name for thread in threading.enumerate()]
env.close()
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("ending", ["gamepad.close()", "del gamepad"])
def test_last_one_stops_sdl_and_the_thread(ending):
    code = f"""
import os, threading, time
import pygame
from gym_hil.teleop.gamepad import Gamepad
gamepad = Gamepad()
assert pygame.display.get_driver() == "dummy", pygame.display.get_driver()
{ending}
deadline = time.monotonic() + 30
while threading.active_count() > 1:
    assert time.monotonic() < deadline
    time.sleep(0.01)
assert not pygame.joystick.get_init() and not pygame.display.get_init()
left = {{key for key in os.environ if key.startswith("SDL_")}}
assert left <= {{"SDL_AUDIODRIVER"}}, left  # that one is older pygame's own
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SDL_")}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment, timeout=60)


def test_process_ends_on_a_signal_and_without_closing():
    for ending, status in (("os.kill(os.getpid(), signal.SIGTERM)", -15), ("", 0)):
        code = f"import os, signal, gym_hil.teleop.gamepad as g\npad = g.Gamepad()\n{ending}"
        result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, timeout=60)
        assert result.returncode == status, result.stderr


def test_another_pad_that_comes_and_goes_disturbs_nothing(pad, gamepad, plug):
    for _ in range(3):
        other = plug("PS4 Controller")
        gamepad.poll()
        other.unplug()
        gamepad.poll()
        pad.tap(Y)
        assert gamepad.poll().events == (Event.SUCCESS,)
    assert gamepad.connected == pad.name


def test_pad_that_goes_together_with_one_never_opened_is_missed_and_another_is_used(pad, gamepad, plug):
    other = plug("PS4 Controller")
    gamepad.poll()
    other.unplug()
    pad.unplug()
    plug("PS5 Controller")
    gamepad.poll()
    gamepad.poll()
    assert gamepad.connected == "PS5 Controller"
