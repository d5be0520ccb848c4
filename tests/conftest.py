"""What all tests share."""

import os

from common import processes

MEASURING = "COVERAGE_PROCESS_CONFIG"  # there under `make coverage-python`

if MEASURING in os.environ:  # simulators, whose environment is a clean one, are measured as well
    processes.KEPT += (MEASURING,)
