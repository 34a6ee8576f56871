"""What changes from one signature to another, and which changes break those who call it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from app.signatures.definition import FieldDefinition, Side, SignatureDefinition
from app.signatures.faults import cut, shown
from app.signatures.field import REQUIRED
from app.signatures.notation import parse_type
from app.signatures.subtypes import SubTyping
from app.signatures.types.base import FieldType


class ChangeKind(StrEnum):
    """What happened to a field, or to the instructions."""

    ADDED = "added"
    REMOVED = "removed"
    TYPE_NARROWED = "type_narrowed"
    TYPE_WIDENED = "type_widened"
    TYPE_CHANGED = "type_changed"
    CONSTRAINT_NARROWED = "constraint_narrowed"
    CONSTRAINT_WIDENED = "constraint_widened"
    DEFAULT_CHANGED = "default_changed"
    TEXT_CHANGED = "text_changed"


@dataclass(frozen=True)
class Change:
    """One change; without field and side it is one of the instructions."""

    field: str | None
    side: Side | None
    change: ChangeKind
    breaking: bool
    detail: str


def compare(old: SignatureDefinition, new: SignatureDefinition) -> list[Change]:
    """Give every change from `old` to `new`, inputs first."""
    sub_typing = SubTyping()
    changes = [change for side in Side for change in _Comparison(side, sub_typing).of(old, new)]
    if old.instructions != new.instructions:
        words = "the instructions are others"
        changes.append(Change(None, None, ChangeKind.TEXT_CHANGED, breaking=False, detail=words))
    return changes


@dataclass(frozen=True)
class _Comparison:
    """Compares one side."""

    side: Side
    sub_typing: SubTyping

    def of(self, old: SignatureDefinition, new: SignatureDefinition) -> Iterator[Change]:
        before = {field.name: field for field in old.fields(self.side)}
        after = {field.name: field for field in new.fields(self.side)}
        for name, field in before.items():
            if name in after:
                yield from self._of_field(field, after[name])
            else:
                yield self._change(field, ChangeKind.REMOVED, _told(field), breaking=True)
        for name, field in after.items():
            if name not in before:
                breaks = self.side is Side.INPUTS and field.is_required
                yield self._change(field, ChangeKind.ADDED, _told(field), breaking=breaks)

    def _change(
        self, field: FieldDefinition, kind: ChangeKind, detail: str, *, breaking: bool
    ) -> Change:
        return Change(field.name, self.side, kind, breaking, detail)

    def _of_field(self, old: FieldDefinition, new: FieldDefinition) -> Iterator[Change]:
        if old.type != new.type:
            yield from self._of_type(old, new)
        before, after = _default(old), _default(new)
        if before != after:
            breaks = self.side is Side.INPUTS and new.default is REQUIRED and new.is_required
            detail = f"{before} → {after}"
            yield self._change(old, ChangeKind.DEFAULT_CHANGED, detail, breaking=breaks)
        if old.description != new.description:
            words = "the description is another"
            yield self._change(old, ChangeKind.TEXT_CHANGED, words, breaking=False)

    def _of_type(self, old: FieldDefinition, new: FieldDefinition) -> Iterator[Change]:
        """An input must take all that it took, an output must give nothing that it did not give."""
        narrow, wide = (old, new) if self.side is Side.INPUTS else (new, old)
        is_safe = self.sub_typing.is_subtype(narrow.type, wide.type)
        is_same = old.type.bare == new.type.bare
        found = list(self._of_constraints(old, new)) if is_same else []
        if is_safe:
            found = [replace(change, breaking=False) for change in found]
        if found and (is_safe or any(change.breaking for change in found)):
            yield from found
        else:
            kind = self._direction(old.type, new.type, _OF_TYPES) or ChangeKind.TYPE_CHANGED
            detail = cut(old.type.notation) + " → " + cut(new.type.notation)
            yield self._change(old, kind, detail, breaking=not is_safe)

    def _of_constraints(self, old: FieldDefinition, new: FieldDefinition) -> Iterator[Change]:
        bare = parse_type(old.type.bare)
        for constraint in bare.allowed_constraints():
            given = [of.type.constraints.get(constraint) for of in (old, new)]
            before, after = (
                bare.with_constraints({} if value is None else {constraint: value})
                for value in given
            )
            if before != after:
                harmful = _HARMFUL[self.side]
                kind = self._direction(before, after, _OF_CONSTRAINTS) or harmful
                detail = f"{constraint}: {shown(given[0])} → {shown(given[1])}"
                yield self._change(old, kind, detail, breaking=kind is harmful)

    def _direction(
        self, old: FieldType, new: FieldType, kinds: tuple[ChangeKind, ChangeKind]
    ) -> ChangeKind | None:
        """Say which way the change goes, if one: the harmless one where it goes both ways."""
        narrowed, widened = kinds
        has_widened = self.sub_typing.is_subtype(old, new)
        has_narrowed = self.sub_typing.is_subtype(new, old)
        if has_widened and has_narrowed:
            return widened if self.side is Side.INPUTS else narrowed
        if has_widened:
            return widened
        return narrowed if has_narrowed else None


def _told(field: FieldDefinition) -> str:
    return cut(field.notation)


def _default(field: FieldDefinition) -> str:
    return "no default" if field.default is REQUIRED else shown(field.default)


_OF_TYPES = (ChangeKind.TYPE_NARROWED, ChangeKind.TYPE_WIDENED)
_OF_CONSTRAINTS = (ChangeKind.CONSTRAINT_NARROWED, ChangeKind.CONSTRAINT_WIDENED)
_HARMFUL: Mapping[Side, ChangeKind] = {
    Side.INPUTS: ChangeKind.CONSTRAINT_NARROWED,
    Side.OUTPUTS: ChangeKind.CONSTRAINT_WIDENED,
}
"""How a constraint may not change on either side."""
