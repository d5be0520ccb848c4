import pytest

from analog_models.errors import SpecError, run_command


def outcome(main, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(main)
    return stop.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


def test_what_main_returns_is_the_exit_status(capsys):
    assert outcome(lambda: 1, capsys) == (1, "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (SpecError("levels.q = 1: too few"), 2, "error: levels.q = 1: too few\n"),
        (PermissionError(13, "Permission denied", "build"), 2, "error: build: Permission denied\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_known_errors_are_one_line(error, status, line, capsys):
    assert outcome(raising(error), capsys) == (status, line)


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))
