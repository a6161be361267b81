"""Rankings for property-based tests: of few tokens, so that completions are alike now and then."""

from hypothesis import strategies as st

from training.pipeline.grouped.rankings import Ranking, TokenPair, group

IDS = st.lists(st.integers(1, 4), min_size=1, max_size=9).map(tuple)


@st.composite
def pairs_of_a_prompt(draw, prompt=IDS):
    """Some pairs of up to six completions, in any order, some of them twice or both ways round."""
    completions = draw(st.lists(IDS, min_size=2, max_size=6, unique=True))
    start = draw(prompt)
    two = st.lists(st.sampled_from(completions), min_size=2, max_size=2, unique=True)
    weights = st.sampled_from([1.0, 0.5, 0.25])
    return [
        TokenPair(start, *draw(two), margin=draw(weights), weight=draw(weights))
        for _ in range(draw(st.integers(1, 12)))
    ]


def one_ranking():
    return pairs_of_a_prompt().map(lambda pairs: group(pairs)[0])


def rankings():
    """Up to six, each of another prompt."""
    numbered = [pairs_of_a_prompt(prompt=IDS.map(lambda ids, i=i: (10 + i, *ids))) for i in range(6)]
    some = st.integers(1, 6).flatmap(lambda count: st.tuples(*numbered[:count]))
    return some.map(lambda drawn: group(pair for pairs in drawn for pair in pairs))


def pairs_in(ranking: Ranking) -> list[TokenPair]:
    """A ranking's pairs as token ids again."""
    at = ranking.completions
    return [TokenPair(ranking.prompt, at[p.chosen], at[p.rejected], p.margin, p.weight) for p in ranking.pairs]
