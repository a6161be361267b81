"""Near-duplicates: planted copies are found, unlike texts are left alone."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.curation.filters import sketches
from sampling.curation.filters.sketches import HASHES, Sketches
from tests.sampling.curation.records import kept, reasons, record

NEAR = [{"filter": "near_duplicates"}]
WORDS = (  # noqa: SIM905
    "river stone cloud paper engine garden winter copper letter signal harbour meadow candle mirror bridge "
    "anchor basket cellar danger effort fabric gallon hammer island jacket kettle ladder magnet needle orange"
).split(" ")


def text(seed, length=60):
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) + str(chosen.randrange(1000)) for _ in range(length))


def with_one_word_changed(original, seed):
    words = original.split()
    words[random.Random(seed).randrange(len(words))] = "changed"
    return " ".join(words)


def test_planted_near_copies_are_found_and_unlike_texts_are_not():
    # One word of 60, each of about 9 characters with its space, touches 13 of about 530 pieces of 5 characters on each
    # side: a Jaccard index of (530 - 13) / (530 + 13) = 0.95, far from the threshold of 0.8. Unlike texts are near 0.
    originals = [text(seed) for seed in range(300)]
    copies = [with_one_word_changed(original, seed) for seed, original in enumerate(originals)]
    told = reasons(NEAR, [record(each) for each in originals + copies])
    assert told == {300 + line: f"Nearly the same as row {line}." for line in range(1, 301)}


def test_the_threshold_decides():
    # 54 of 60 words are the same: 0.9 of each, 0.9 / 1.1 = 0.82 of both together.
    rows = [record(" ".join(text(1).split()[:54] + text(seed).split()[:6])) for seed in (2, 3)]
    assert kept([NEAR[0] | {"threshold": 0.5}], rows) == [1]
    assert kept([NEAR[0] | {"threshold": 0.95}], rows) == [1, 2]


def test_case_and_white_space_do_not_count():
    assert kept(NEAR, [record("Why is the sky blue?"), record("why is  the SKY\nblue?")]) == [1]


def test_every_script_is_compared():
    korean = "하늘은 왜 파란색으로 보이는지 과학적으로 설명해 주시고 예를 두 가지 들어 주세요"
    hebrew = "מדוע השמיים נראים כחולים במהלך היום אך אדומים בשעת השקיעה ומה תפקידו של האוויר"
    emoji = "🙂🙃😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰😗😙😚🙂🤗🤩🤔🤨😐😑😶🙄😏"
    for each in (korean, hebrew, emoji):
        rows = [record(each), record(each[:-1] + "!"), record(each[::-1])]
        assert kept(NEAR, rows) == [1, 3]


def test_short_texts_are_told_apart():
    assert kept(NEAR, [record("a"), record("b"), record("?"), record("a")]) == [1, 2, 3]


def test_words_in_a_row_can_be_the_pieces():
    rows = [record(text(1)), record(with_one_word_changed(text(1), 1)), record(text(2)), record("?!"), record("?!")]
    assert kept([NEAR[0] | {"pieces": "words", "length": 2}], rows) == [1, 3, 4]


def test_a_copy_of_a_removed_row_alone_stays():
    # Rows that stay differ from each other; of a chain a, b, c in which neighbours are alike, a and c may both stay.
    words = text(5, 20).split()
    chain = [" ".join(words[start : start + 16]) for start in range(0, 5, 2)]
    left = kept([NEAR[0] | {"threshold": 0.7}], [record(each) for each in chain])
    assert left[0] == 1
    assert 2 not in left


def test_what_is_not_there_is_like_nothing():
    assert kept([NEAR[0] | {"of": "completions"}], [record("Why?"), record("Why?")]) == [1, 2]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), max_size=20))
def test_of_exact_copies_exactly_one_is_left(texts):
    left = {texts[line - 1] for line in kept(NEAR, [record(each) for each in texts])}
    assert left <= set(texts)
    lines = kept(NEAR, [record(each) for each in texts * 2])
    assert all(line <= len(texts) for line in lines)


# --- the index --------------------------------------------------------------------------------------------------


def alike(sketches, *, together, threshold=0.8):
    """Of each sketch the line of the one that it resembles; so many are shown to the index at once."""
    index = Sketches(threshold)
    lines = list(range(1, len(sketches) + 1))
    return [
        found
        for start in range(0, len(sketches), together)
        for found in index.first_alike(sketches[start : start + together], lines[start : start + together])
    ]


def some_sketches(count, seed):
    """Of which one in three agrees with an earlier one in all but 6 of 128 hashes."""
    chosen = random.Random(seed)
    made = []
    for _ in range(count):
        if made and chosen.random() < 1 / 3:
            sketch = list(chosen.choice(made))
            for place in chosen.sample(range(HASHES), 6):
                sketch[place] = chosen.randrange(2**32)
        else:
            sketch = [chosen.randrange(2**32) for _ in range(HASHES)]
        made.append(sketch)
    return made


def test_the_index_finds_what_comparing_with_everything_finds(monkeypatch):
    # Runs of 8 rows, merged up to 64 entries: the index has many of all sizes. 6 of 128 hashes lie in at most 6 of the
    # 16 bands, so 10 bands are equal, and none is missed.
    monkeypatch.setattr(sketches, "SETTLED_AFTER", 8)
    monkeypatch.setattr(sketches, "MOST_MERGED", 64 * 16)
    monkeypatch.setattr(sketches, "BLOCK", 16)
    made = some_sketches(400, seed=1)
    kept, expected = [], []
    for line, sketch in enumerate(made, start=1):
        same = [of for of, other in kept if sum(map(int.__eq__, sketch, other)) >= 0.8 * HASHES]
        expected.append(same[0] if same else None)
        if not same:
            kept.append((line, sketch))
    assert alike(made, together=400) == expected
    assert sum(line is not None for line in expected) > 100


@pytest.mark.parametrize("together", [1, 3, 7, 100])
def test_it_finds_the_same_however_many_come_at_once(monkeypatch, together):
    monkeypatch.setattr(sketches, "SETTLED_AFTER", 8)
    monkeypatch.setattr(sketches, "MOST_CANDIDATES", 2)
    made = some_sketches(120, seed=2)
    assert alike(made, together=together) == alike(made, together=120)


def test_bands_are_as_long_as_nearly_all_that_is_just_as_alike_is_found_by():
    # 8 hashes a band: 1 - (1 - 0.8 ** 8) ** 16 = 0.947; 16 a band: 1 - (1 - 0.8 ** 16) ** 8 = 0.20.
    assert sketches.band_length(0.8) == 8
    assert sketches.band_length(1) == 16
    assert sketches.band_length(0.3) == 2


def test_texts_that_all_share_one_band_are_not_all_compared(monkeypatch):
    """What differs beyond a common beginning stays fast: only the first candidates of a band are looked at."""
    monkeypatch.setattr(sketches, "SETTLED_AFTER", 64)
    monkeypatch.setattr(sketches, "MOST_CANDIDATES", 4)
    chosen = random.Random(3)
    common = [chosen.randrange(2**32) for _ in range(8)]
    made = [common + [chosen.randrange(2**32) for _ in range(HASHES - 8)] for _ in range(256)]
    assert alike(made, together=64) == [None] * 256
