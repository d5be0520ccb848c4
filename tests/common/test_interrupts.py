"""Signals that ask to end: one exception, or a note."""

import os
import signal
import threading
import time

import pytest

from common import interrupts
from common.interrupts import SIGNALS, Interrupted, noted, raised


def press(signum):
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_each_signal_is_a_keyboard_interrupt_that_says_which(signum):
    called = []
    with pytest.raises(KeyboardInterrupt) as stop, raised(first=lambda: called.append(signum)):
        press(signum)
    assert isinstance(stop.value, Interrupted) and stop.value.signum == signum
    assert called == [signum]


def test_an_echo_is_passed_over_and_a_repetition_is_not(monkeypatch):
    """`make` passes on what the terminal has sent to everyone."""
    with raised(first=lambda: None):
        with pytest.raises(Interrupted):
            press(signal.SIGTERM)
        press(signal.SIGTERM)
        monkeypatch.setattr(interrupts, "ECHO_S", 0.0)
        with pytest.raises(Interrupted):
            press(signal.SIGHUP)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_noted(signum):
    with raised(first=lambda: None):
        with noted() as note:
            assert note.signum is None
            press(signum)
        assert note.signum == signum
        with pytest.raises(Interrupted):
            press(signum)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with raised(first=lambda: None):
            press(signal.SIGHUP)
        with noted() as note:
            press(signal.SIGHUP)
        assert note.signum is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_ours_only_inside():
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with raised(first=lambda: None), noted():
        assert [signal.getsignal(signum) for signum in SIGNALS] != before
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_a_signal_that_did_not_wake_the_main_thread_soon_does():
    """As one does that comes when it is about to wait: here one that another thread has got."""

    def get_a_signal():
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    begin = time.monotonic()
    with pytest.raises(Interrupted), raised(first=lambda: None):
        threading.Timer(0.1, get_a_signal).start()
        threading.Event().wait(20)
    assert time.monotonic() - begin < 10
