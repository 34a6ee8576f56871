"""The seven steps of a validation, one by one and together."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from app.actions.signature_declaration import SignatureDeclaration
from app.actions.signature_validation import (
    STEPS,
    SignatureValidation,
    SignatureValidationInput,
    SignatureValidationReport,
    ValidationLevel,
)
from app.actions.signature_validation.step import Tools
from app.adapters.base import Adapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.mock import MockAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.adapters.signature_modules import SignatureModules
from app.policies.clock import SystemClock
from app.signatures.definition import SignatureDefinition
from app.signatures.notation import parse_notation
from app.signatures.types import TYPES
from tests.support.adapters import ScriptedAdapter

QUESTION = "constrained[string, min_length=1, max_length=200]"
NOTATION = f"question: {QUESTION} -> answer, sure: probability"
NO_MODULES = SignatureModules((), {})
EVERY = [name for name, _ in STEPS]


class Answering(ScriptedAdapter):
    """Answers whether it takes a signature as it is told."""

    def __init__(self, name: str, refusal: Exception | None = None) -> None:
        super().__init__(name=name)
        self._refusal = refusal

    @override
    async def validate_signature(self, signature: SignatureDefinition) -> None:
        if self._refusal is not None:
            raise self._refusal


class Hanging(ScriptedAdapter):
    """Never answers."""

    @override
    async def validate_signature(self, signature: SignatureDefinition) -> None:
        await asyncio.Event().wait()


class Losing(Answering):
    """Has a form of its own, in which every type is text."""

    async def convert_signature(self, signature: SignatureDefinition) -> SignatureDefinition:
        """Give a signature whose fields are all text."""
        names = [", ".join(field.name for field in side) for side in _sides(signature)]
        return parse_notation(" -> ".join(names))


def _sides(signature: SignatureDefinition) -> tuple[Any, Any]:
    return signature.inputs, signature.outputs


def documents(*fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give fields of type string, unless they say otherwise."""
    return [{"type": "string", **field} for field in fields]


async def validated(
    level: str = "standard",
    *,
    adapters: tuple[Adapter, ...] = (),
    modules: SignatureModules = NO_MODULES,
    **declared: Any,
) -> SignatureValidationReport:
    """Validate a declaration; without adapters there is a mock."""
    registry = AdapterRegistry(adapters or (MockAdapter(AdapterSetup("mock")),))
    tools = Tools(modules, registry, SystemClock(), adapter_timeout_s=0.05)
    declaration = SignatureDeclaration(**(declared or {"notation": NOTATION}))
    return await SignatureValidation(tools)(
        SignatureValidationInput(declaration, ValidationLevel(level), "qa")
    )


@pytest.mark.parametrize(
    ("level", "steps"), [("standard", EVERY[:4]), ("comprehensive", EVERY), ("deep", EVERY)]
)
async def test_levels(level: str, steps: list[str]) -> None:
    """Standard runs four steps, the others all seven; each says how long it took."""
    report = await validated(level)
    assert list(report.results) == steps
    assert (report.overall_valid, report.failed_step) == (True, None)
    assert (report.summary.total_checks, report.summary.passed_checks) == (len(steps), len(steps))
    assert all(result["duration_ms"] >= 0 for result in report.results.values())
    assert not any("error" in result for result in report.results.values())
    assert (report.signature, report.signature_module) == (None, None)


async def test_what_is_no_notation_does_not_load() -> None:
    """The first step fails, says where, and nothing else runs."""
    report = await validated(notation="a: list[ -> b")
    assert list(report.results) == ["module_loading"]
    assert report.failed_step == "module_loading"
    found = report.results["module_loading"]
    assert (found["passed"], found["loaded"], found["has_signature"]) == (False, False, False)
    assert "column" in found["error"]
    assert not report.overall_valid
    assert not report.summary.structure_valid


async def test_a_module_that_is_not_allowed_does_not_load() -> None:
    """It is named, and why it was refused."""
    report = await validated(signature_module="acme.x:Y")
    found = report.results["module_loading"]
    assert (found["module"], found["loaded"]) == ("acme.x:Y", False)
    assert "[imports] packages" in found["error"]
    assert report.signature_module == "acme.x:Y"


async def test_a_module_without_the_name_has_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report tells a module that loads from the signature that it lacks."""
    (tmp_path / "acme_empty.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = SignatureModules(("acme_empty",), {"PATH": os.environ["PATH"]})
    report = await validated(modules=modules, signature_module="acme_empty:Answer")
    found = dict(report.results["module_loading"])
    found.pop("duration_ms")
    assert found == {
        "passed": False,
        "module": "acme_empty:Answer",
        "loaded": True,
        "has_signature": False,
        "error": "AttributeError: module 'acme_empty' has no attribute 'Answer'",
    }
    assert report.signature_module == "acme_empty:Answer"


@pytest.mark.parametrize(
    ("inputs", "outputs", "wrong", "said"),
    [
        ([], [{"name": "b"}], {"has_inputs"}, "inputs needs at least one field"),
        ([{"name": "a"}], [], {"has_outputs"}, "outputs needs at least one field"),
        ([{"name": "class"}], [{"name": "b"}], {"inputs_format"}, "keyword"),
        ([{"name": "a"}], [{"name": "1"}], {"outputs_format"}, "identifier"),
        ([{"name": "a"}], [{"name": "b", "more": 1}], {"outputs_format"}, "has no"),
        ([{"name": "a", "description": 5}], [{"name": "b"}], {"inputs_format"}, "must be text"),
        ([{"name": "a"}], [{"name": "a"}], {"no_duplicate_names"}, "called a already"),
        (
            [{"name": f"a{n}"} for n in range(1_001)],
            [{"name": "b"}],
            {"inputs_format"},
            "more than 1000 fields",
        ),
    ],
    ids=range(8),
)
async def test_structure(inputs: list[Any], outputs: list[Any], wrong: set[str], said: str) -> None:
    """Each check fails by itself; the report has what was counted, and ends there."""
    report = await validated(inputs=documents(*inputs), outputs=documents(*outputs))
    assert list(report.results) == EVERY[:2]
    assert report.failed_step == "signature_structure"
    found = report.results["signature_structure"]
    assert {name for name, passed in found["checks"].items() if not passed} == wrong
    assert (found["input_count"], found["output_count"]) == (len(inputs), len(outputs))
    assert found["structure_valid"] is False
    assert said in found["error"]
    assert report.summary.module_loading


async def test_structure_of_what_is_no_object() -> None:
    """A field must be an object."""
    report = await validated(inputs=["a"], outputs=documents({"name": "b"}))
    assert report.failed_step == "signature_structure"
    assert report.results["signature_structure"]["checks"]["inputs_format"] is False


async def test_types_of_documents() -> None:
    """Every field is told, with all that is wrong with its type, constraints and default."""
    report = await validated(
        inputs=documents(
            {"name": "a", "type": "wat"},
            {"name": "b", "type": "integer", "constraints": {"min": 5, "max": 1}},
            {"name": "c", "type": "integer", "constraints": {"pattern": "a", "min": "x"}},
            {"name": "d", "type": "integer", "default": "no"},
            {"name": "e", "constraints": {"pattern": "("}},
        ),
        outputs=[{"name": "z"}, {"name": "y", "type": "list[integer]"}],
    )
    assert list(report.results) == EVERY[:3]
    assert report.failed_step == "type_definitions"
    found = report.results["type_definitions"]
    assert found["all_types_valid"] is False
    assert found["supported_types"] == [*TYPES, "constrained"]
    valid = {one["field"]: one["constraints_valid"] for one in found["field_validations"]}
    assert valid == {**dict.fromkeys("abcdez", False), "y": True}
    errors = {one["field"]: one.get("error", "") for one in found["field_validations"]}
    assert "none of the types" in errors["a"]
    assert "min is 5, which is over max: 1" in errors["b"]
    assert "does not take" in errors["c"]
    assert "a whole number of 64 bits" in errors["c"]
    assert "the default of d" in errors["d"]
    assert "regular expression" in errors["e"]
    assert "must be text" in errors["z"]
    assert report.summary.structure_valid
    assert not report.summary.types_valid


async def test_types_of_notation() -> None:
    """Faults of notation belong to their fields, too."""
    report = await validated(
        notation="a: wat, b: constrained[integer, min=5, max=1] -> c: list[integer] = [1]"
    )
    found = report.results["type_definitions"]
    assert [(one["field"], one["constraints_valid"]) for one in found["field_validations"]] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]
    assert found["field_validations"][2]["type"] == "list[integer]"


async def test_constraints() -> None:
    """Values that must pass are told from those that must not; both are right."""
    report = await validated()
    found = report.results["field_constraints"]
    assert found["all_constraints_working"] is True
    question = found["constraint_validations"][0]
    assert (question["field"], question["side"]) == ("question", "inputs")
    assert (question["type"], question["constraints"]) == (
        "string",
        {"min_length": 1, "max_length": 200},
    )
    results = {repr(one["value"]): one for one in question["test_results"]}
    empty = results["''"]
    assert (empty["must_pass"], empty["passed"]) == (False, True)
    assert "length 1 or more" in empty["error"]
    assert {one["must_pass"] for one in question["test_results"]} == {True, False}
    assert all(one["passed"] for one in question["test_results"])
    assert all(len(repr(one["value"])) < 250 for one in question["test_results"])


async def test_constraints_that_leave_no_value() -> None:
    """They fail the step, which names the field."""
    report = await validated(
        notation="a: constrained[integer, min=1, max=4, multiple_of=5] -> b", level="deep"
    )
    assert list(report.results) == EVERY[:4]
    assert report.failed_step == "field_constraints"
    found = report.results["field_constraints"]
    assert found["error"] == "the constraints do not work as they should: a"
    assert [one["all_passed"] for one in found["constraint_validations"]] == [False, True]


async def test_adapters() -> None:
    """Each is asked, whatever the others do; one that takes the signature is enough."""
    adapters = (
        Answering("good"),
        Answering("bad", AdapterError(ErrorType.UNSUPPORTED, "no such fields")),
        Answering("broken", RuntimeError("secret")),
        Hanging(name="slow"),
        Losing("losing"),
    )
    report = await validated("comprehensive", adapters=adapters)
    found = report.results["adapter_compatibility"]
    assert found["adapter_compatibility"] == {
        "good": {"compatible": True},
        "bad": {"compatible": False, "error": "no such fields"},
        "broken": {"compatible": False, "error": "it failed (RuntimeError)"},
        "slow": {"compatible": False, "error": "it did not answer within 0.05 s"},
        "losing": {
            "compatible": True,
            "converted": {
                "notation": "question: string -> answer: string, sure: string",
                "lost": [
                    f"question: {QUESTION} comes back as string",
                    "sure: probability comes back as string",
                ],
            },
        },
    }
    assert found["compatible_adapters"] == ["good", "losing"]
    assert report.overall_valid


async def test_without_any_adapter() -> None:
    """The step fails, the run goes on, the whole is not valid."""
    report = await validated("comprehensive", adapters=(Answering("a", RuntimeError()),))
    assert list(report.results) == EVERY
    assert report.results["adapter_compatibility"]["error"] == "no adapter takes it"
    assert (report.overall_valid, report.failed_step) == (False, None)
    assert (report.summary.total_checks, report.summary.passed_checks) == (7, 6)


async def test_targets() -> None:
    """Each says whether it holds the signature, what it cannot hold, and what is lost."""
    report = await validated("comprehensive", notation="é: float -> b: probability, c: tool_result")
    found = report.results["serialization_compatibility"]
    answers = found["serialization_compatibility"]
    assert list(answers) == ["json_schema", "openai_function", "anthropic_function"]
    assert answers["json_schema"]["notes"] == [
        "b: probability comes back as constrained[float, min=0, max=1]"
    ]
    assert answers["openai_function"]["notes"][-1].startswith("not strict")
    assert answers["anthropic_function"]["compatible"] is False
    assert "ASCII" in answers["anthropic_function"]["error"]
    assert found["compatible_targets"] == ["json_schema", "openai_function"]
    assert report.overall_valid


async def test_performance() -> None:
    """Metrics, estimates in µs and a rating; on the deepest level measured ones beside them."""
    report = await validated("comprehensive")
    found = report.results["performance_characteristics"]
    assert found["complexity_metrics"] == {
        "input_complexity": 2.0,
        "output_complexity": 3.0,
        "total_fields": 3,
        "estimated_validation_time": 50,
        "estimated_serialization_time": 250,
    }
    assert found["performance_warnings"] == []
    assert found["performance_rating"] == 95
    assert "measured" not in found


async def test_measured() -> None:
    """Median and 99th percentile of many runs."""
    found = (await validated("deep")).results["performance_characteristics"]
    for figures in found["measured"].values():
        assert 0 <= figures["median"] <= figures["p99"]
    assert list(found["measured"]) == ["validation_us", "serialization_us"]


async def test_what_has_no_samples_is_not_measured() -> None:
    """A warning says so; the rating stands."""
    report = await validated("deep", notation='a: constrained[string, pattern="a^b"] -> b')
    found = report.results["performance_characteristics"]
    assert "measured" not in found
    assert "no sample values" in found["performance_warnings"][0]
    assert found["passed"] is True


async def test_a_heavy_signature_fails_the_last_step() -> None:
    """A rating of 50 or less does not pass; the others have."""
    fields = ", ".join(f"a{n}: dict[string, any]" for n in range(40))
    report = await validated("comprehensive", notation=f"{fields} -> b")
    found = report.results["performance_characteristics"]
    assert found["performance_rating"] <= 50
    assert found["passed"] is False
    assert "not over 50" in found["error"]
    assert (report.overall_valid, report.failed_step) == (False, None)
