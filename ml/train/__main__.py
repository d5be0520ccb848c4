"""`python -m ml.train`: see `command`."""

from common.errors import run_command
from ml.train.command import main

run_command(main, resumable=True)
