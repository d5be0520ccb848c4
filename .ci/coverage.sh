#!/bin/sh
# The end of `make coverage-python`: the total, and result.json in the folder given.
set -eu
python=${VENV_PYTHON:-.venv/bin/python}
$python -m coverage combine --quiet
$python -m coverage json --quiet -o "$1/result.json"
$python -m coverage report --format=total | sed 's/^/lines and branches that the tests run: /; s/$/ %/'
