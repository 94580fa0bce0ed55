"""Do prompts resemble each other? Measures between prompts, their order and what they separate."""

from probe.analysis.compare.comparison import (
    MEASURES,
    Comparison,
    Measure,
    compare_activations,
    compare_rows,
    compare_tokens,
    require_measure,
)
from probe.analysis.compare.hierarchy import Hierarchy, hierarchy
from probe.analysis.compare.neurons import layer_groups
from probe.analysis.compare.positions import PositionView, position_view
from probe.analysis.compare.requirements import comparable
from probe.analysis.compare.separation import separation
from probe.analysis.compare.shared import SharedToken, SharedTokens, shared_tokens

__all__ = [
    "MEASURES",
    "Comparison",
    "Hierarchy",
    "Measure",
    "PositionView",
    "SharedToken",
    "SharedTokens",
    "comparable",
    "compare_activations",
    "compare_rows",
    "compare_tokens",
    "hierarchy",
    "layer_groups",
    "position_view",
    "require_measure",
    "separation",
    "shared_tokens",
]
