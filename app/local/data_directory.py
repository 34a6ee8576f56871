"""The folder that holds everything the local stack writes."""

from pathlib import Path

from app.local.errors import LocalStackError


def prepare(data_dir: Path) -> None:
    """Make `data_dir` for its owner alone, with a `.gitignore` that keeps it out of commits.

    LocalStackError where it cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise LocalStackError(
            f"The data directory {data_dir} cannot be written: {error.strerror}."
        ) from error
