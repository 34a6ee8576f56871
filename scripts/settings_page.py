"""Write `docs/howto/settings.md` out of the settings' model, or with --check refuse an old one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.settings import Group, Settings

PATH = Path(__file__).parent.parent / "docs" / "howto" / "settings.md"
HEAD = """# Settings

From the file that `--config` names, and from `DSPATCH_*` variables, which win: `[database] url` is
`DSPATCH_DATABASE__URL`. A setting that is unknown or wrong refuses the start and is named.
"""
FOR_TESTS = {"crash_at"}
"""Settings that no operator needs."""


def page() -> str:
    """Describe every setting, a table per group."""
    return "\n".join([HEAD, *(_section(name, field) for name, field in _groups())])


def _groups() -> Iterator[tuple[str, FieldInfo]]:
    for name, field in Settings.model_fields.items():
        if name not in FOR_TESTS:
            yield name, field


def _section(name: str, field: FieldInfo) -> str:
    group = _group(field)
    title = f"{name}.<name>" if group is not field.annotation else name
    rows = [_row(key, of) for key, of in group.model_fields.items()]
    head = f"## [{title}]\n\n{group.__doc__}\n\n| setting | default | meaning |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _group(field: FieldInfo) -> type[BaseModel]:
    candidates: list[Any] = [field.annotation, *get_args(field.annotation)]
    return next(of for of in candidates if isinstance(of, type) and issubclass(of, Group))


def _row(key: str, field: FieldInfo) -> str:
    default = "" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
    return f"| `{key}` | {default.replace('`None`', '')} | {field.description} |"


def main() -> None:
    """Write or check."""
    if "--check" not in sys.argv:
        PATH.write_text(page(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != page():
        sys.exit("docs/howto/settings.md is out of date: run `make settings`")


if __name__ == "__main__":
    main()
