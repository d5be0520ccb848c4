"""What is compiled lies in the checkout or the user's cache, and others have not written it."""

import os
from pathlib import Path

import pytest

from common import places
from common.errors import ToolError
from common.places import check_path, check_trusted, close_to_others, code_folder

ROOT = Path(__file__).parents[2]


def test_compiled_code_is_in_the_checkout_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code_folder() == ROOT / "build"


@pytest.mark.parametrize(
    ("exported", "folder"), [("/var/cache/me", "/var/cache/me"), ("", ""), ("relative", "")]
)
def test_without_a_checkout_it_is_in_the_cache_of_the_user(exported, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "site-packages" / "analog_models")
    monkeypatch.setenv("XDG_CACHE_HOME", exported)
    expected = Path(folder) if folder else Path.home() / ".cache"
    assert code_folder() == expected / "gaincell"


@pytest.mark.parametrize("character", places.BREAKING)
def test_a_path_that_breaks_programs_is_refused(character, tmp_path, monkeypatch):
    with pytest.raises(ToolError, match="use another folder"):
        check_path(tmp_path / f"a{character}b")
    monkeypatch.setattr(places, "PACKAGE", tmp_path / f"a{character}b" / "analog_models")
    with pytest.raises(ToolError, match="which simulators, make or PATH take"):
        check_path(tmp_path)


def test_other_paths_are_taken():
    check_path(Path("/home/José/a b/c#d%e'f&g(h/build"))


def test_code_that_anyone_may_write_is_refused(tmp_path):
    path = tmp_path / "kernel.so"
    path.touch(0o644)
    check_trusted(path)
    path.chmod(0o646)
    with pytest.raises(ToolError, match=r"kernel\.so: may be written by anyone, and it holds code"):
        check_trusted(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_code_of_another_user_is_refused(tmp_path):
    path = tmp_path / "kernel.so"
    path.touch()
    os.chown(path, 65534, 65534)
    with pytest.raises(ToolError, match=r"belongs to another user \(65534\)"):
        check_trusted(path)


def test_code_of_a_wide_umask_is_closed_to_others(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    path = tmp_path / "deep" / "kernel.so"
    path.parent.mkdir()
    path.touch()
    for each in (tmp_path, path.parent, path):
        each.chmod(0o777)
    close_to_others(tmp_path)
    for each in (tmp_path, path.parent, path):
        check_trusted(each)
        assert each.stat().st_mode & 0o777 == 0o775
