"""The child process that loads a signature out of a Python module: `python -m` it.

It is given `package.module:Name` and the file descriptor of a pipe. Importing runs code of others,
which may print, exit, raise or hang: here it can do no more than end this process. The answer is a
line of JSON on the pipe: `{inputs, outputs, instructions}`, or `{error, loaded}`.
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from app.adapters.dspy.loading import LOCAL_PRICES


def main(reference: str, descriptor: str) -> None:
    """Load, and write the answer."""
    answer = json.dumps(answer_of(reference))
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as pipe:
        pipe.write(answer + "\n")


def answer_of(reference: str) -> Mapping[str, Any]:
    """Import the module and read the signature; never raises for what the module does."""
    os.environ.update(LOCAL_PRICES)
    path, _, name = reference.partition(":")
    is_loaded = False
    try:
        module = importlib.import_module(path)
        is_loaded = True
        definition = _definition(getattr(module, name))
    except Exception as error:  # noqa: BLE001 - code of others may raise anything
        return {"loaded": is_loaded, "error": f"{type(error).__name__}: {error}"}
    return {
        "inputs": [field.as_document() for field in definition.inputs],
        "outputs": [field.as_document() for field in definition.outputs],
        "instructions": definition.instructions,
    }


def _definition(found: Any) -> Any:
    # Both need DSPy, whose import takes seconds: a module that cannot be imported is told at once.
    finding = importlib.import_module("app.adapters.dspy.finding")
    reading = importlib.import_module("app.adapters.dspy.read_signatures")
    return reading.read_signature(finding.find_signature(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
