"""`python -m ml.adapt`: see `command`."""

from common.errors import run_command
from ml.adapt.command import main

run_command(main)
