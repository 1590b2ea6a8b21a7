from __future__ import annotations

import gc
import threading

import pytest

from sessions.garbage_collection import hold_collector


def test_the_collector_is_held_until_the_last_of_several_threads_is_done() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with hold_collector():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    assert gc.isenabled()
    with hold_collector():
        other.start()
        assert inside.wait(10)
    held = not gc.isenabled()
    leave.set()
    other.join()
    assert held
    assert gc.isenabled()


def test_an_error_lets_it_go() -> None:
    with pytest.raises(ZeroDivisionError), hold_collector():
        assert not gc.isenabled()
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off() -> None:
    gc.disable()
    try:
        with hold_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
