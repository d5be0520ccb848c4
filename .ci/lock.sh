#!/bin/sh
# `make lock`: writes requirements.lock anew, one set of exact versions for every extra, and for what builds them, on
# Python 3.11 and newer. uv writes it, with the newest that pyproject.toml allows; pip reads it, as constraints.
set -eu
cd "$(dirname "$0")/.."
new=build/requirements.lock
mkdir -p build
.venv/bin/python - <<'EOT' >build/build-requirements.txt
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
EOT
{
    echo "# Exact versions of all that gaincell needs. \`make lock\` writes it; pip reads it as constraints (.ci/install.sh)."
    .venv/bin/python -m uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 \
        --all-extras --upgrade pyproject.toml build/build-requirements.txt
} >$new
diff requirements.lock $new && echo "requirements.lock: nothing is newer"
mv $new requirements.lock
