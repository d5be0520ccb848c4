import pytest

from common.checkout import check_environment
from common.errors import ToolError


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose environment was made for it."""
    folder = (tmp_path / "checkout").resolve()
    (folder / ".venv").mkdir(parents=True)
    (folder / ".venv" / ".made-for").write_text(f"{folder}\n3.11\n")
    return folder


def test_its_own_environment_is_right(checkout):
    check_environment(checkout / ".venv", checkout)


def test_an_environment_without_a_record_is_the_users_own(checkout):
    (checkout / ".venv" / ".made-for").unlink()
    check_environment(checkout / ".venv", checkout.parent)


def test_a_moved_environment_is_refused(checkout):
    moved = checkout.rename(checkout.with_name("moved"))
    with pytest.raises(
        ToolError, match=f"{moved}/.venv was made for the checkout {checkout}: `make"
    ):
        check_environment(moved / ".venv", moved)


def test_the_environment_of_another_checkout_is_refused(checkout):
    other = checkout.with_name("other")
    with pytest.raises(
        ToolError, match=f"belongs to the checkout {checkout}, this code to {other}"
    ):
        check_environment(checkout / ".venv", other)
