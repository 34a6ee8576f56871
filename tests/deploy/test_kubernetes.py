"""The manifests are what Kubernetes takes, what its strictest rules ask for, and fit Dspatch."""

import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest

from app.api.probes import router as probes
from app.commands.cli import COMMANDS
from app.runtime import connections_of
from app.settings import Settings, load_settings
from tests.deploy.manifests import (
    BASE,
    KUBERNETES,
    OVERLAYS,
    Manifest,
    can_compose,
    container,
    manifests,
    of_kind,
    pods,
)

OLDEST, NEWEST = "1.27", "1.37"
"""Of Kubernetes' versions: the first with all that we use, and the last that is known here."""

LAST_RECORDS_S = 15
"""How long after its grace a process may take to write what it cancelled, and to end."""

ROOT = KUBERNETES.parent.parent
SETTINGS_FILE = KUBERNETES / BASE / "dspatch.toml"

composed = pytest.mark.skipif(not can_compose(), reason="kubectl, which composes, is not here")
each_source = pytest.mark.parametrize(
    "source", [BASE, *(pytest.param(overlay, marks=composed) for overlay in OVERLAYS)]
)


@pytest.fixture
def settings() -> Settings:
    """The settings that the pods are given."""
    return load_settings(SETTINGS_FILE)


def test_each_is_what_kubernetes_takes() -> None:
    """Every manifest follows the schema of its kind, without a member that it does not have."""
    sources = OVERLAYS if can_compose() else (BASE,)
    every = [one for source in sources for one in manifests(source)]
    for one in {str(one): one for one in every}.values():  # overlays share most
        kubernetes_validate.validate(one, NEWEST, strict=True)


def test_older_versions_of_kubernetes_take_them_too() -> None:
    """Nothing in the base is newer than the oldest version that is said to do."""
    for one in manifests(BASE):
        kubernetes_validate.validate(one, OLDEST, strict=True)


@each_source
def test_every_pod_is_restricted(source: str) -> None:
    """No pod may do more than the standard `restricted` allows, nor write to its root."""
    found = list(pods(source))
    assert found
    for name, template in found:
        pod, own = template["spec"]["securityContext"], container(template)["securityContext"]
        assert pod["runAsNonRoot"], name
        assert pod["runAsUser"] == pod["runAsGroup"] == 10_001, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["readOnlyRootFilesystem"], name
        assert template["spec"]["automountServiceAccountToken"] is False, name


@each_source
def test_every_pod_says_what_it_needs(source: str) -> None:
    """Requests are there for the scheduler and the autoscaler, and memory has a limit."""
    for name, template in pods(source):
        resources = container(template)["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}, name
        assert "memory" in resources["limits"], name


@each_source
def test_every_pod_runs_a_command_of_ours(source: str) -> None:
    """Each runs the one image with a command that there is, on the settings that are mounted."""
    commands = {command.__name__ for command in COMMANDS}
    found = [container(template) for _, template in pods(source)]
    assert len({one["image"] for one in found}) == 1
    for one in found:
        command, *options = one["args"]
        config = Path(options[options.index("--config") + 1])
        assert command in commands
        assert config.name == SETTINGS_FILE.name
        assert str(config.parent) in _mounts(one)


def _mounts(of: Manifest) -> dict[str, str]:
    return {mount["mountPath"]: mount["name"] for mount in of["volumeMounts"]}


def test_secrets_come_by_reference(settings: Settings) -> None:
    """The files that hold keys are those of the mounted secret, and no manifest holds a secret."""
    assert not list(of_kind(BASE, "Secret"))
    named = {lm.api_key_file for lm in settings.lms.values()}
    for name, template in pods(BASE):
        url = {one["name"]: one["valueFrom"] for one in container(template)["env"]}
        assert set(url["DSPATCH_DATABASE__URL"]) == {"secretKeyRef"}
        if name != "dspatch-migration":
            assert set(_secret_files(template)) == named


def _secret_files(template: Manifest) -> Iterator[Path]:
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    for path, name in _mounts(container(template)).items():
        for item in volumes[name].get("secret", {}).get("items", ()):
            yield Path(path) / item["path"]


@each_source
def test_pods_have_the_time_to_end(source: str, settings: Settings) -> None:
    """Kubernetes kills no pod before it has drained, let its work end, and recorded the rest."""
    grace_s = settings.server.grace_ms / 1_000 + LAST_RECORDS_S
    delay_s = {"serve": settings.server.drain_delay_ms / 1_000, "worker": 0}
    for one in of_kind(source, "Deployment"):
        template = one["spec"]["template"]
        needed_s = grace_s + delay_s[container(template)["args"][0]]
        assert template["spec"]["terminationGracePeriodSeconds"] >= needed_s


@each_source
def test_probes_ask_what_is_there(source: str) -> None:
    """Each probe asks its own route, by the port that the pod listens on."""
    paths = {getattr(route, "path", "") for route in probes.routes}
    for one in of_kind(source, "Deployment"):
        pod = container(one["spec"]["template"])
        kinds = ("startup", "readiness", "liveness")
        asked = {kind: pod[f"{kind}Probe"]["httpGet"] for kind in kinds}
        assert {get["path"] for get in asked.values()} == paths
        assert [get["path"] for get in asked.values()] == ["/startupz", "/readyz", "/livez"]
        assert {get["port"] for get in asked.values()} == {"http"}
        assert [port["name"] for port in pod["ports"]] == ["http"]


def test_workers_answer_where_they_are_asked(settings: Settings) -> None:
    """They listen on the port of their probes, for others than themselves."""
    (port,) = container(dict(pods(BASE))["dspatch-worker"])["ports"]
    assert settings.worker.probes_port == port["containerPort"]
    assert settings.worker.probes_host == "0.0.0.0"  # noqa: S104 - in a pod


def test_a_pod_is_unready_before_it_stops_taking_requests(settings: Settings) -> None:
    """Kubernetes has asked, and been told of the drain, while requests are still taken."""
    probe = container(dict(pods(BASE))["dspatch-api"])["readinessProbe"]
    told_ms = 1_000 * probe["periodSeconds"] * probe["failureThreshold"]
    assert told_ms < settings.server.drain_delay_ms


@each_source
def test_what_selects_pods_finds_them(source: str) -> None:
    """Services, budgets and policies select pods that there are; the autoscaler has its target."""
    labels = [template["metadata"]["labels"] for _, template in pods(source)]
    for one in manifests(source):
        for selector in _selectors(one):
            found = [pod for pod in labels if selector.items() <= pod.items()]
            assert found, (one["kind"], one["metadata"]["name"], selector)
    deployments = {one["metadata"]["name"] for one in of_kind(source, "Deployment")}
    for one in of_kind(source, "HorizontalPodAutoscaler"):
        assert one["spec"]["scaleTargetRef"]["name"] in deployments


def _selectors(one: Manifest) -> Iterator[dict[str, str]]:
    spec = one.get("spec", {})
    if one["kind"] == "Service":
        yield spec["selector"]
    for member in ("selector", "podSelector"):
        if one["kind"] != "Service" and member in spec:
            yield spec[member].get("matchLabels", {})


def test_nobody_else_reaches_the_pods() -> None:
    """Every pod is under a policy that lets nobody in; one opens the port for HTTP alone."""
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(BASE, "NetworkPolicy")}
    everything = policies["dspatch"]
    assert everything["podSelector"] == {}
    assert set(everything["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in everything
    entries = {name: policy["ingress"] for name, policy in policies.items() if "ingress" in policy}
    assert set(entries) == {"dspatch-callers"}
    for entry in entries["dspatch-callers"]:
        assert entry["from"]
        assert [port["port"] for port in entry["ports"]] == ["http"]


def test_the_database_has_room_for_all(settings: Settings) -> None:
    """At most, while they are rolled, the pods open as many connections as the page says."""
    (scaler,) = of_kind(BASE, "HorizontalPodAutoscaler")
    workers = next(
        one for one in of_kind(BASE, "Deployment") if one["metadata"]["name"] == "dspatch-worker"
    )
    works = settings.worker.model_copy(update={"embedded": True})
    working = settings.model_copy(update={"worker": works})
    migration, surge = 1, 1
    most = (
        (scaler["spec"]["maxReplicas"] + surge) * sum(connections_of(settings).values())
        + (workers["spec"]["replicas"] + surge) * sum(connections_of(working).values())
        + migration
    )
    page = ROOT / "docs" / "howto" / "run-on-kubernetes.md"
    said = re.search(r"max_connections = (\d+)", page.read_text(encoding="utf-8"))
    assert said
    assert most <= int(said[1])
