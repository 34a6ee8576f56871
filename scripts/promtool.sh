#!/usr/bin/env bash
# Put promtool, which no Python package brings, into an environment: the one of Debian's `prometheus`, without installing that.
set -euo pipefail
environment=$(realpath "$1")
if command -v promtool >/dev/null || [ -x "$environment/bin/promtool" ]; then exit 0; fi
command -v apt-get >/dev/null || { echo "promtool is not here: install Prometheus" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get --quiet=2 update && apt-get --quiet=2 download prometheus && dpkg-deb --extract prometheus_*.deb .)
cp "$folder/usr/bin/promtool" "$environment/bin/promtool"
