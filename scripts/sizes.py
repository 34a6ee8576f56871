"""Refuse files and functions that outgrow the house; print the table of their sizes."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_FILE_LINES = 500
MOST_FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 12
P90_FUNCTION_LINES = 35

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Give each function of a file with its lines, docstring and decorators left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", _lines(node)


def _lines(node: Function) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def percentile(values: list[int], share: float) -> int:
    """Give the value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Print medians, and exit 1 where a limit is broken."""
    paths = sorted((ROOT / "app").rglob("*.py"))
    files = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    sizes = dict(found for path in paths for found in functions(path))
    for kind, values in (("files", list(files.values())), ("functions", list(sizes.values()))):
        median, p90 = percentile(values, 0.5), percentile(values, 0.9)
        print(f"{kind:10} {len(values):5}  median {median:4}  p90 {p90:4}  max {max(values):4}")
    broken = [f"{name}: {n} lines" for name, n in files.items() if n > MOST_FILE_LINES]
    broken += [f"{name}: {n} lines" for name, n in sizes.items() if n > MOST_FUNCTION_LINES]
    lines = list(sizes.values())
    if (
        percentile(lines, 0.5) > MEDIAN_FUNCTION_LINES
        or percentile(lines, 0.9) > P90_FUNCTION_LINES
    ):
        broken.append("functions are too long on the whole: find the missing concepts")
    sys.exit("\n".join(broken) or 0)


if __name__ == "__main__":
    main()
