"""What changes from one signature to another, and which changes break those who call it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from app.signatures.definition import FieldDefinition, Side, SignatureDefinition
from app.signatures.faults import cut, shown
from app.signatures.field import REQUIRED
from app.signatures.notation import parse_type
from app.signatures.subtypes import is_subtype
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
    changes = [change for side in Side for change in _of_side(old, new, side)]
    if old.instructions != new.instructions:
        words = "the instructions are others"
        changes.append(Change(None, None, ChangeKind.TEXT_CHANGED, breaking=False, detail=words))
    return changes


def _of_side(old: SignatureDefinition, new: SignatureDefinition, side: Side) -> Iterator[Change]:
    before = {field.name: field for field in old.fields(side)}
    after = {field.name: field for field in new.fields(side)}
    for name, field in before.items():
        if name in after:
            yield from _of_field(side, field, after[name])
        else:
            yield Change(name, side, ChangeKind.REMOVED, breaking=True, detail=_told(field))
    for name, field in after.items():
        if name not in before:
            breaks = side is Side.INPUTS and field.is_required
            yield Change(name, side, ChangeKind.ADDED, breaking=breaks, detail=_told(field))


def _of_field(side: Side, old: FieldDefinition, new: FieldDefinition) -> Iterator[Change]:
    if old.type != new.type:
        yield from _of_type(old.name, side, old.type, new.type)
    before, after = _default(old), _default(new)
    if before != after:
        breaks = side is Side.INPUTS and new.default is REQUIRED and new.is_required
        detail = f"{before} → {after}"
        yield Change(old.name, side, ChangeKind.DEFAULT_CHANGED, breaking=breaks, detail=detail)
    if old.description != new.description:
        words = "the description is another"
        yield Change(old.name, side, ChangeKind.TEXT_CHANGED, breaking=False, detail=words)


def _of_type(name: str, side: Side, old: FieldType, new: FieldType) -> Iterator[Change]:
    """An input must take all that it took, an output must give nothing that it did not give."""
    is_safe = is_subtype(old, new) if side is Side.INPUTS else is_subtype(new, old)
    found = list(_of_constraints(name, side, old, new)) if old.bare == new.bare else []
    if is_safe:
        found = [replace(change, breaking=False) for change in found]
    if found and (is_safe or any(change.breaking for change in found)):
        yield from found
    else:
        kind = _direction(side, old, new, _OF_TYPES) or ChangeKind.TYPE_CHANGED
        detail = cut(old.notation) + " → " + cut(new.notation)
        yield Change(name, side, kind, breaking=not is_safe, detail=detail)


def _of_constraints(name: str, side: Side, old: FieldType, new: FieldType) -> Iterator[Change]:
    bare = parse_type(old.bare)
    for constraint in bare.allowed_constraints():
        given = [of.constraints.get(constraint) for of in (old, new)]
        before, after = (
            bare.with_constraints({} if value is None else {constraint: value}) for value in given
        )
        if before != after:
            kind = _direction(side, before, after, _OF_CONSTRAINTS) or _HARMFUL[side]
            detail = f"{constraint}: {shown(given[0])} → {shown(given[1])}"
            yield Change(name, side, kind, breaking=kind is _HARMFUL[side], detail=detail)


def _direction(
    side: Side, old: FieldType, new: FieldType, kinds: tuple[ChangeKind, ChangeKind]
) -> ChangeKind | None:
    """Say which way the change goes, if one: the harmless one where it goes both ways."""
    narrowed, widened = kinds
    has_widened, has_narrowed = is_subtype(old, new), is_subtype(new, old)
    if has_widened and has_narrowed:
        return widened if side is Side.INPUTS else narrowed
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
