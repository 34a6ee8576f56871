"""The dashboard and the alerts ask for what Dspatch counts, in words that Prometheus reads."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.models.states import Outcome
from tests.deploy.tools import find_tool
from tests.support.metrics import metrics_at_work

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dspatch.json"
WIDTH = 24
"""Of a dashboard, in Grafana's units."""

PROMETHEUS_ADDS = {"instance", "job", "le"}

Panel = dict[str, Any]


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """The labels of each series, by its name, as a scrape finds them."""
    page, _ = metrics_at_work().page("")
    families = text_string_to_metric_families(page.decode())
    samples = [sample for family in families for sample in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def rules() -> list[dict[str, Any]]:
    """Give every alert."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels(*, rows: bool = False) -> list[Panel]:
    """Give the dashboard's panels, or the headings between them."""
    found: list[Panel] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if (panel["type"] == "row") is rows]


def expressions() -> Iterator[str]:
    """Give all that is asked of Prometheus, with Grafana's variables filled in."""
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m")


def parts(expression: str) -> list[Any]:
    """Parse, which raises where Prometheus would not read it, and give every node."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return found


def selectors(nodes: list[Any]) -> list[Any]:
    """Give those nodes that pick series."""
    return [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]


def test_only_what_is_counted_is_asked_for(series: dict[str, set[str]]) -> None:
    """Each series is one of ours, and whatever it is picked and grouped by is a label of it."""
    for expression in expressions():
        nodes = parts(expression)
        known = set(PROMETHEUS_ADDS)
        for selector in selectors(nodes):
            labels = series[selector.name] | PROMETHEUS_ADDS
            assert {one.name for one in selector.matchers.matchers} <= labels, expression
            known |= labels
        for node in nodes:
            if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
                assert set(node.modifier.labels) <= known, expression


def test_outcomes_are_those_that_executions_have() -> None:
    """What is picked by an outcome can be there."""
    picked = [
        matcher
        for expression in expressions()
        for selector in selectors(parts(expression))
        if selector.name == "dspatch_executions_total"
        for matcher in selector.matchers.matchers
        if matcher.name == "outcome"
    ]
    assert picked
    for matcher in picked:
        assert set(matcher.value.split("|")) <= {str(one) for one in Outcome}


def test_each_alert_says_what_to_do() -> None:
    """Names are not doubled, and each alert leads to a part of a page that there is."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        page, _, part = rule["annotations"]["runbook"].partition("#")
        assert part in _anchors(ROOT / page), rule["alert"]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("command", [("check", "rules"), ("test", "rules")])
def test_prometheus_own_tool_agrees(command: tuple[str, str]) -> None:
    """The rules are well formed, and fire and keep still as their own tests say."""
    promtool = find_tool("promtool")
    if promtool is None:
        pytest.skip("promtool is not here; `make manifests` brings it")
    file = "alerts.yaml" if command[0] == "check" else "alerts.test.yaml"
    whole = [promtool, *command, file]
    done = subprocess.run(whole, check=False, capture_output=True, text=True, cwd=PROMETHEUS)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_a_place_of_their_own() -> None:
    """Ids are not doubled, and no panel lies beside the grid or upon another."""
    every = panels() + panels(rows=True)
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        columns, lines = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = {(x, y) for x in columns for y in lines}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_panels_ask_the_chosen_prometheus() -> None:
    """Each has a title and a description, and asks the data source that is chosen at the top."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {one["name"] for one in board["templating"]["list"]}
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        letters = [target["refId"] for target in panel["targets"]]
        assert all(one < other for one, other in pairwise(letters))
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$\{?([a-z]\w*)", DASHBOARD.read_text(encoding="utf-8")))
    assert used == variables


def test_every_metric_is_shown(series: dict[str, set[str]]) -> None:
    """The dashboard leaves no metric out."""
    asked = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    for name in series:
        if not name.endswith(("_sum", "_count")):
            assert name in asked
