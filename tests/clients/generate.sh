#!/usr/bin/env bash
# Lint the OpenAPI document, generate four clients out of it, and check their types strictly.
# The first argument is the environment of the Python tools.
set -euo pipefail
bin=$(realpath "$1")/bin
cd "$(dirname "$0")"
document=../../docs/openapi.json
export PATH="$bin:$PATH" # the generators call ruff

rm -rf generated && mkdir generated

npx spectral lint "$document" --fail-severity error
npx redocly lint "$document" --config lint.redocly.yaml

npx openapi-typescript "$document" --output generated/openapi_typescript.ts
npx openapi-ts --input "$document" --output generated/hey_api --silent
npx tsc --project .

openapi-python-client generate --path "$document" --output-path generated/openapi_python_client \
    --config python_client.yaml --fail-on-warning
openapi-generator-cli generate -i "$document" -g python -o generated/openapi_generator \
    --additional-properties=packageName=dspatch_api >generated/openapi_generator.log
pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation \
    ./generated/openapi_python_client ./generated/openapi_generator
# What is generated is checked as its users see it: their own code strictly, through its annotations.
mypy --strict --config-file= --cache-dir generated/.mypy_cache openapi_python_client.py
mypy --strict --config-file= --cache-dir generated/.mypy_cache openapi_generator.py
mypy --strict --config-file= --cache-dir generated/.mypy_cache generated/openapi_python_client/dspatch_client
