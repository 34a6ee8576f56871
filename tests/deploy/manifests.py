"""The manifests for Kubernetes as they are applied: each overlay, composed by kustomize."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import find_tool

KUBERNETES = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
BASE = "base"
OVERLAYS = ("overlays/production", "overlays/small")

Manifest = dict[str, Any]


def can_compose() -> bool:
    """Tell whether kustomize is here, which kubectl carries; the base can be read without."""
    return find_tool("kubectl") is not None


@cache
def manifests(source: str) -> list[Manifest]:
    """Give what a folder describes: the base file by file, an overlay as kustomize composes it."""
    if source == BASE:
        return [one for path in _resources() for one in _read(path.read_text(encoding="utf-8"))]
    command = ["kubectl", "kustomize", str(KUBERNETES / source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return _read(done.stdout)


def _resources() -> Iterator[Path]:
    listed = _read((KUBERNETES / BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    return (KUBERNETES / BASE / name for name in listed[0]["resources"])


def _read(text: str) -> list[Manifest]:
    return list(yaml.safe_load_all(text))


def of_kind(source: str, kind: str) -> Iterator[Manifest]:
    """Give those of one kind."""
    return (one for one in manifests(source) if one["kind"] == kind)


def pods(source: str) -> Iterator[tuple[str, Manifest]]:
    """Give the template of every pod, by the name of what makes it."""
    for one in manifests(source):
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def container(template: Manifest) -> Manifest:
    """Give the only container of a pod."""
    containers: list[Manifest] = template["spec"]["containers"]
    (only,) = containers
    return only
