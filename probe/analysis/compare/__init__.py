"""Do prompts resemble each other? Measures between prompts, their order and what they separate."""

from probe.analysis.compare.comparison import (
    Comparison,
    compare_activations,
    compare_rows,
    compare_tokens,
    require_measure,
)
from probe.analysis.compare.hierarchy import Hierarchy, hierarchy
from probe.analysis.compare.pairs import PositionView, SharedTokens, position_view, shared_tokens
from probe.analysis.compare.requirements import comparable
from probe.analysis.compare.sentences import pair_words, positions_sentence, separation_sentence
from probe.analysis.starts import changes_since_start, recorded_starts, shared_starts, start_words
from probe.measures import MEASURES, Measure
