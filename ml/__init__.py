"""The language model: corpus, teacher, adaptation to gain-cell attention, golden vectors."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve a shared machine
