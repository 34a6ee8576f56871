"""How sure a model is of its answer."""

from app.signatures.types.probability import ProbabilityType


class ConfidenceScoreType(ProbabilityType):
    """A number from 0 to 1, as `probability` is."""

    name = "confidence_score"
