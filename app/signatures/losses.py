"""What a signature loses on the way through a target and back."""

from collections.abc import Iterator

from app.signatures.definition import FieldDefinition, Side, SignatureDefinition
from app.signatures.faults import cut


def losses(before: SignatureDefinition, after: SignatureDefinition) -> list[str]:
    """Say which fields come back as others, and which not at all.

    A description that has grown, by what the target could not say otherwise, is no loss.
    """
    found = [loss for side in Side for loss in _of_side(before, after, side)]
    if before.instructions not in {after.instructions, ""}:
        found.append("the instructions come back as others")
    return found


def _of_side(before: SignatureDefinition, after: SignatureDefinition, side: Side) -> Iterator[str]:
    back = {field.name: field for field in after.fields(side)}
    for field in before.fields(side):
        if field.name not in back:
            yield f"{field.name}: does not come back"
        else:
            yield from _of_field(field, back[field.name])


def _of_field(before: FieldDefinition, after: FieldDefinition) -> Iterator[str]:
    if before.type != after.type:
        yield f"{before.name}: {cut(before.type.notation)} comes back as {cut(after.type.notation)}"
    if before.default != after.default:
        yield f"{before.name}: its default comes back as another"
    if not after.description.startswith(before.description):
        yield f"{before.name}: its description comes back as another"
