"""`python -m ml.evaluate`: see `command`."""

from common.errors import run_command
from ml.evaluate.command import main

run_command(main)
