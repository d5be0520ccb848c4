"""A line of progress: in place on a terminal, rare elsewhere, and the last one always."""

from common import progress
from common.progress import ProgressLine


def test_off_a_terminal_only_the_last_line_comes_at_once(capsys):
    line = ProgressLine()
    for done in range(100):
        line.show(f"{done}/100")
    line.show("100/100", last=True)
    assert capsys.readouterr().err == "100/100\n"


def test_off_a_terminal_a_line_comes_when_it_is_time(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    line = ProgressLine()
    line.show("1/2")
    line.show("2/2", last=True)
    assert capsys.readouterr().err == "1/2\n2/2\n"


def test_on_a_terminal_a_line_takes_the_place_of_the_one_before(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(progress, "LIVE_S", 0.0)
    line = ProgressLine()
    line.show("1/2")
    line.show("2/2", last=True)
    assert capsys.readouterr().err == "\r\x1b[K1/2\r\x1b[K2/2\n"
