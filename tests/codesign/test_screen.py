"""Text and state do not get into each other's way, on a terminal and off it."""

import os

from codesign.screen import CLEAR_BELOW, Screen


def test_off_a_terminal_stdout_has_the_text_alone(capsys, monkeypatch):
    monkeypatch.setattr("common.progress.QUIET_S", 0.0)
    with Screen() as shown:
        shown.text("To be")
        shown.state("1/2 tokens")
        shown.text(", or")
    seen = capsys.readouterr()
    assert seen.out == "To be, or\n" and seen.err == "1/2 tokens\n"


def test_off_a_terminal_the_state_is_shown_rarely(capsys):
    with Screen() as shown:
        for _ in range(100):
            shown.state("1/2 tokens")
    assert capsys.readouterr().err == ""


def test_on_a_terminal_the_state_fits_on_its_line_and_goes_with_the_next_text(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((8, 24)))
    with Screen() as shown:
        shown.text("To")
        shown.state("1/2 tokens, 10/s")
        shown.text(" be")
    seen = capsys.readouterr()
    before, _, rest = seen.out.partition("\x1b[2E")
    state, _, after = rest.partition("\x1b8")
    assert before.startswith(CLEAR_BELOW + "To") and state == "1/2 tok"
    assert after == f"{CLEAR_BELOW} be{CLEAR_BELOW}\n" and seen.err == ""
