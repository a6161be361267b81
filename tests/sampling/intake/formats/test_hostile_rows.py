"""Whatever a row holds, a format gives records that can be stored, or says why not."""

import copy
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.intake import formats
from sampling.intake.formats import FORMATS
from sampling.json_lines import Unusable
from tests.sampling.intake.formats.checking import check

KEYS = sorted(FORMATS)


def names_in(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names_in(item)}
    return {name for item in value for name in names_in(item)} if isinstance(value, list) else set()


# Every field that an example has, and words that have a meaning as values: else no row would get past the first check.
NAMES = sorted(names_in([dict(FORMATS[key].example_row) for key in KEYS]) | {"strength", "ranks", "metadata", "system"})
WORDS = (
    "user",
    "assistant",
    "human",
    "left",
    "tie",
    "model_a",
    "response1",
    "\n\nHuman: a\n\nAssistant: b",
    "N/A",
    "1e999",
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-4, max_value=4),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.sampled_from(["\0", "\ud800", " ", ""]),
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=5)),
    max_leaves=20,
)
rows = st.dictionaries(names, values, max_size=8)


def read_or_reason(row: dict, key: str) -> None:
    untouched = copy.deepcopy(row)
    records, reason = [], "."
    try:
        records = formats.read(row, key)
    except Unusable as unusable:
        reason = str(unusable)
    for record in records:
        check(record)
    reason.encode()  # can be stored and shown
    assert "\0" not in reason
    assert reason.endswith((".", ")"))
    assert repr(row) == repr(untouched)


@settings(max_examples=50, deadline=None)
@given(row=rows)
def test_any_object_through_every_format_gives_records_or_a_reason(row):
    for key in KEYS:
        read_or_reason(row, key)
    formats.recognise([row, None])


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(KEYS), seed=st.integers(0, 2**32), values=st.lists(values, min_size=1, max_size=3))
def test_valid_rows_with_some_values_changed_give_records_or_a_reason(key, seed, values):
    row = json.loads(FORMATS[key].example)
    rng = random.Random(seed)
    for value in values:
        change(row, value, rng)
    for other in (key, *formats.fitting([row])):
        read_or_reason(row, other)


def change(row: dict, value: object, rng: random.Random) -> None:
    """Put ``value`` somewhere, or take something away, at any depth."""
    inside = row
    while True:
        places = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        if not places:
            return
        place = rng.choice(places)
        if not isinstance(inside[place], dict | list) or rng.random() < 0.3:
            break
        inside = inside[place]
    if rng.random() < 0.2:
        del inside[place]
    else:
        inside[place] = value
