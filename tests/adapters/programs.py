"""Programs to test adapters with: those of the suite."""

from conformance.programs import NOTATION, a_call, a_program

__all__ = ["NOTATION", "a_call", "a_program"]
