"""Write `docs/howto/settings.md` out of the settings' model, or with --check refuse an old one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.settings import Group, Settings

PATH = Path(__file__).parent.parent / "docs" / "howto" / "settings.md"
HEAD = """# Settings

From the file that `--config` names, and from `DSPATCH_*` variables, which win: `[database] url` is
`DSPATCH_DATABASE__URL`. A setting that is unknown or wrong refuses the start and is named.
"""


def page() -> str:
    """Describe every setting, a table per group."""
    return "\n".join([HEAD, *(_section(title, group) for title, group in _groups(Settings))])


def _groups(of: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Give the groups within a group, and those within them, each by the name of its table."""
    for name, field in of.model_fields.items():
        group = _group(field)
        if group is not None:
            is_named = get_origin(field.annotation) is dict
            title = f"{above}{name}.<name>" if is_named else f"{above}{name}"
            yield title, group
            yield from _groups(group, f"{title}.")


def _section(title: str, group: type[BaseModel]) -> str:
    fields = group.model_fields.items()
    rows = [_row(key, of) for key, of in fields if _group(of) is None]
    head = f"## [{title}]\n\n{group.__doc__}\n\n| setting | default | meaning |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _group(field: FieldInfo) -> type[BaseModel] | None:
    candidates: list[Any] = [field.annotation, *get_args(field.annotation)]
    groups = (of for of in candidates if isinstance(of, type) and issubclass(of, Group))
    return next(groups, None)


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
