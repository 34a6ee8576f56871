"""Reads the fields of both sides from documents, and finds every fault on the way."""

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ValidationError

from app.errors import Fault
from app.signatures.constraints import ConstraintsError
from app.signatures.faults import SignatureError, faults_of, pointer, shown
from app.signatures.field import REQUIRED, FieldDefinition
from app.signatures.grammar import parse_type
from app.signatures.thorough import ThoroughValidator
from app.signatures.types.any import AnyType
from app.signatures.types.base import FieldType

MAX_NAME = 64
"""The longest name of a field."""

MAX_FIELDS = 1_000
"""The most fields of a side."""

_MEMBERS = ("name", "type", "constraints", "description", "default")


class FieldReader:
    """Reads documents `{name, type, constraints?, description?, default?}`, one after the other.

    A type may be made already. Faults gather in `faults`; only without any are the fields to be
    used. Names are unique over all that one reader reads.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._names: set[str] = set()

    def side(self, side: str, documents: Any) -> tuple[FieldDefinition, ...]:
        """Read all fields of one side; paths begin with its name."""
        if isinstance(documents, str) or not isinstance(documents, Sequence):
            self._fault((side,), "type", f"{side} must be a list of fields")
            return ()
        if not documents:
            self._fault((side,), "no_fields", f"{side} needs at least one field")
        if len(documents) > MAX_FIELDS:
            self._fault((side,), "too_many_fields", f"{side} has more than {MAX_FIELDS} fields")
            return ()
        return tuple(self._field(document, (side, i)) for i, document in enumerate(documents))

    def _field(self, document: Any, at: tuple[int | str, ...]) -> FieldDefinition:
        if not isinstance(document, Mapping):
            self._fault(at, "type", f"a field must be an object, not {shown(document)}")
            return FieldDefinition("", AnyType())
        for member in (member for member in document if member not in _MEMBERS):
            message = f"a field has no {shown(member)}; it has {', '.join(_MEMBERS)}"
            self._fault((*at, member), "unknown_field", message)
        name = self._name(document.get("name"), (*at, "name"))
        field_type = self._constrained(document, name, at)
        return FieldDefinition(
            name,
            field_type or AnyType(),
            self._description(document.get("description"), name, (*at, "description")),
            self._default(document, field_type, name, (*at, "default")),
        )

    def _name(self, name: Any, at: tuple[int | str, ...]) -> str:
        if not isinstance(name, str) or not name.isidentifier() or len(name) > MAX_NAME:
            expected = f"an identifier of at most {MAX_NAME} characters"
            self._fault(at, "name", f"the name of a field must be {expected}, not {shown(name)}")
        elif keyword.iskeyword(name):
            self._fault(at, "name", f"{name} is a keyword, which no field can have as its name")
        elif name in self._names:
            self._fault(at, "duplicate_name", f"another field is called {name} already")
        else:
            self._names.add(name)
            return name
        return "the field"

    def _constrained(
        self, document: Mapping[str, Any], name: str, at: tuple[int | str, ...]
    ) -> FieldType | None:
        found = self._type(document.get("type"), name, (*at, "type"))
        constraints = document.get("constraints") or {}
        if not isinstance(constraints, Mapping):
            message = f"the constraints of {name} must be an object, not {shown(constraints)}"
            self._fault((*at, "constraints"), "type", message)
            return None
        try:
            return found and found.with_constraints(constraints)
        except ConstraintsError as error:
            for problem in error.problems:
                steps = (*at, "constraints", problem.name)
                self._fault(steps, problem.code, f"{name}: {problem.message}")
            return None

    def _type(self, given: Any, name: str, at: tuple[int | str, ...]) -> FieldType | None:
        if isinstance(given, FieldType):
            return given
        if not isinstance(given, str):
            self._fault(at, "type", f"the type of {name} must be text, not {shown(given)}")
            return None
        try:
            return parse_type(given)
        except SignatureError as error:
            for fault in error.faults:
                self._fault(at, fault.code, f"{name}: {fault.message}")
            return None

    def _description(self, given: Any, name: str, at: tuple[int | str, ...]) -> str:
        if given is not None and not isinstance(given, str):
            self._fault(at, "type", f"the description of {name} must be text, not {shown(given)}")
        return given or ""

    def _default(
        self,
        document: Mapping[str, Any],
        field_type: FieldType | None,
        name: str,
        at: tuple[int | str, ...],
    ) -> Any:
        if "default" not in document or field_type is None:
            return REQUIRED
        try:
            validator = ThoroughValidator(field_type.core_schema())
            return validator.validate(field_type.convert(document["default"]))
        except ValidationError as error:
            faults = faults_of(error, called=f"the default of {name}")
            self.faults += [fault.under(pointer(at)) for fault in faults]
            return REQUIRED

    def _fault(self, at: Sequence[int | str], code: str, message: str) -> None:
        self.faults.append(Fault(pointer(at), code, message))
