"""Programs run by DSPy in this process; nothing here imports DSPy before it is needed."""

from app.adapters.dspy.adapter import DspyAdapter

__all__ = ["DspyAdapter"]
