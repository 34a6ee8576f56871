"""Write `docs/openapi.json`, or with --check refuse one that is out of date."""

import json
import sys
from pathlib import Path

from app.main import create_app
from app.settings import Settings

PATH = Path(__file__).parent.parent / "docs" / "openapi.json"


def main() -> None:
    """Write or check."""
    text = json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        PATH.write_text(text, encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != text:
        sys.exit("docs/openapi.json is out of date: run `make openapi` and look at the difference")


if __name__ == "__main__":
    main()
