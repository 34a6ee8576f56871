"""How long signatures take to be read, written and checked: `make bench-signatures`.

Prints milliseconds, medians of many runs, of a signature of five fields.
"""

import asyncio
import gc
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from app.actions.signature_declaration import SignatureDeclaration
from app.actions.signature_validation import (
    SignatureValidation,
    SignatureValidationInput,
    ValidationLevel,
)
from app.actions.signature_validation.step import Tools
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.adapters.signature_modules import SignatureModules
from app.policies.clock import SystemClock
from app.signatures.compare import compare
from app.signatures.compile import CompiledSignature
from app.signatures.definition import Side
from app.signatures.notation import parse_notation
from app.signatures.serializers import SERIALIZERS, NamedSignature
from bench.validation import NOTATION

RUNS = 200
SLOW_RUNS = 20
WIDER = NOTATION.replace("max_length=200", "max_length=300")


def main() -> None:
    """Measure everything, and print it."""
    print("read and compiled", _milliseconds(_compiled), "(aim: 5 ms)")
    definition = parse_notation(NOTATION)
    for target, write in SERIALIZERS.items():
        named = NamedSignature("bench", definition)
        print(target, _milliseconds(lambda: write(named, Side.INPUTS)))  # noqa: B023 - called here
    wider = parse_notation(WIDER)
    print("compared", _milliseconds(lambda: compare(definition, wider)))
    for level, spent in asyncio.run(_levels()).items():
        print(f"seven steps, {level}", spent)


def _compiled() -> CompiledSignature:
    return CompiledSignature(parse_notation(NOTATION))


def _milliseconds(run: Callable[[], Any]) -> str:
    spent = []
    for _ in range(RUNS):
        gc.collect(0)
        began = perf_counter()
        run()
        spent.append((perf_counter() - began) * 1_000)
    return f"{median(spent):.2f} ms"


async def _levels() -> dict[str, str]:
    """Validate at each level, on the adapters that are there without settings."""
    clock = SystemClock()
    adapters = AdapterRegistry.from_settings({}, AdapterSetup("", environment={}, clock=clock))
    await adapters.get("dspy").health_check()  # which waits for DSPy's import
    validate = SignatureValidation(Tools(SignatureModules((), {}), adapters, clock))
    found = {}
    for level in ValidationLevel:
        wanted = SignatureValidationInput(SignatureDeclaration(notation=NOTATION), level)
        spent = []
        for _ in range(SLOW_RUNS):
            began = perf_counter()
            await validate(wanted)
            spent.append((perf_counter() - began) * 1_000)
        found[level.value] = f"{median(spent):.1f} ms"
    for adapter in adapters:
        await adapter.cleanup()
    return found


if __name__ == "__main__":
    main()
