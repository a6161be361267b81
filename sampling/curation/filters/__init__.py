"""The filters that there are, by the name that a step gives. Their order here is the order that pages offer them in."""

from sampling.curation.filters.base import Filter
from sampling.curation.filters.categories import Categories, PerSubset
from sampling.curation.filters.copies import Copies, EqualSides
from sampling.curation.filters.languages import Languages
from sampling.curation.filters.lengths import LengthRatio, Tokens, Turns
from sampling.curation.filters.near_copies import NearCopies
from sampling.curation.filters.splits import SplitByGroup
from sampling.curation.filters.system_prompts import SystemPrompts

FILTERS: dict[str, type[Filter]] = {
    each.key: each
    for each in (
        Copies, NearCopies, Tokens, Turns, Languages, Categories, SystemPrompts, EqualSides, LengthRatio, PerSubset,
        SplitByGroup,
    )
}  # fmt: skip
