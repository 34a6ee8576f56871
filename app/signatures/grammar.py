"""The grammar of notation, read by recursive descent.

signature   fields "->" fields
fields      field ("," field)*
field       NAME [":" type] ["=" json]
type        single ("|" single)*
single      "null" | NAME ["[" argument ("," argument)* "]"]
          | "constrained" "[" type ("," NAME "=" json)* "]"
argument    type | json
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.errors import Fault
from app.signatures.constraints import ConstraintsError
from app.signatures.cursor import Cursor, NotationSyntaxError
from app.signatures.faults import SignatureError, shown
from app.signatures.types import CONSTRAINED, SPELLINGS, TYPES
from app.signatures.types.any import AnyType
from app.signatures.types.base import FieldType, TypeArgumentsError
from app.signatures.types.string import StringType
from app.signatures.types.union import UnionType

MAX_DEPTH = 16
"""How deep types may nest."""

_NULLS = frozenset({"None", "null"})


class Grammar:
    """Reads one text. What is well formed but wrong goes to `faults`, and reading goes on.

    The faults of a signature's fields have the paths that they have in its documents. Raises
    `NotationSyntaxError` where the text is not well formed.
    """

    def __init__(self, text: str) -> None:
        self._cursor = Cursor(text)
        self.faults: list[Fault] = []

    def signature(self) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Read inputs and outputs, each as a list of field documents with types made."""
        inputs = self._fields("inputs")
        self._cursor.expect("->")
        outputs = self._fields("outputs")
        self._end("',', '=' or the end")
        return inputs, outputs

    def lone_type(self) -> FieldType:
        """Read a text that is one type."""
        found = self._type(1)
        self._end("the end")
        return found

    def _end(self, expected: str) -> None:
        if not self._cursor.is_at_end:
            self._cursor.fail(expected)

    def _fields(self, side: str) -> list[Mapping[str, Any]]:
        fields: list[Mapping[str, Any]] = []
        if self._cursor.is_at_end or self._cursor.sees("->"):
            return fields
        while not fields or self._cursor.take(","):
            first = len(self.faults)
            path = f"/{side}/{len(fields)}/type"
            fields.append(self._field())
            self.faults[first:] = [replace(fault, path=path) for fault in self.faults[first:]]
        return fields

    def _field(self) -> Mapping[str, Any]:
        field: dict[str, Any] = {"name": self._name("the name of a field")}
        field["type"] = self._type(1) if self._cursor.take(":") else StringType()
        if self._cursor.take("="):
            field["default"] = self._cursor.value()
        return field

    def _name(self, expected: str) -> str:
        name = self._cursor.name()
        return self._cursor.fail(expected) if name is None else name

    def _type(self, depth: int) -> FieldType:
        column = self._cursor.column
        found = self._members(depth)
        if found is None:
            return self._fault("unknown_type", "null alone is no type", column)
        return found

    def _members(self, depth: int) -> FieldType | None:
        column = self._cursor.column
        members = [self._single(depth)]
        while self._cursor.take("|"):
            members.append(self._single(depth))
        return members[0] if len(members) == 1 else self._made(UnionType, members, column)

    def _single(self, depth: int) -> FieldType | None:
        column = self._cursor.column
        if depth > MAX_DEPTH:
            raise NotationSyntaxError(f"types nest deeper than {MAX_DEPTH} at column {column}")
        name = self._name("a type")
        if name in _NULLS:
            return None
        if name == CONSTRAINED:
            return self._constrained(depth, column)
        arguments = self._arguments(depth) if self._cursor.take("[") else []
        kind = TYPES.get(SPELLINGS.get(name, name))
        if kind is None:
            known = ", ".join((*TYPES, CONSTRAINED))
            return self._fault(
                "unknown_type", f"{shown(name)} is none of the types {known}", column
            )
        return self._made(kind, arguments, column)

    def _made(self, kind: type[FieldType], arguments: Sequence[Any], column: int) -> FieldType:
        try:
            return kind.of(*arguments)
        except TypeArgumentsError as error:
            return self._fault("type_arguments", str(error), column)

    def _arguments(self, depth: int) -> list[Any]:
        arguments = [self._argument(depth + 1)]
        while self._cursor.take(","):
            arguments.append(self._argument(depth + 1))
        self._cursor.expect("]")
        return arguments

    def _argument(self, depth: int) -> Any:
        if self._cursor.sees(*"\"'-0123456789[{"):
            return self._cursor.value()
        return self._members(depth)

    def _constrained(self, depth: int, column: int) -> FieldType:
        faults_before = len(self.faults)
        self._cursor.expect("[")
        inner = self._type(depth + 1)
        constraints: dict[str, Any] = {}
        while self._cursor.take(","):
            name = self._name("the name of a constraint")
            self._cursor.expect("=")
            if name in constraints:
                self._fault("constraint_conflict", f"{shown(name)} is given twice", column)
            constraints[name] = self._cursor.value()
        self._cursor.expect("]")
        if len(self.faults) > faults_before:
            return inner
        try:
            return inner.with_constraints(constraints)
        except ConstraintsError as error:
            for problem in error.problems:
                self._fault(problem.code, problem.message, column)
            return inner

    def _fault(self, code: str, message: str, column: int) -> FieldType:
        self.faults.append(Fault("", code, f"{message} (column {column})"))
        return AnyType()  # stands in, so that the rest is read and every fault found


def parse_type(text: str) -> FieldType:
    """Read one type from its notation, or raise `SignatureError` with paths of ""."""
    grammar = Grammar(text)
    try:
        found = grammar.lone_type()
    except NotationSyntaxError as error:
        raise SignatureError([*grammar.faults, Fault("", "syntax", str(error))]) from None
    if grammar.faults:
        raise SignatureError(grammar.faults)
    return found
