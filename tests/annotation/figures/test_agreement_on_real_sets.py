"""Agreement on published annotations, held to published libraries. No sentence of the sets is kept here."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import inter_rater

from annotation.figures.agreement import alpha, cohen_kappa, figures_of, fleiss_kappa, kendall_tau
from annotation.figures.panels import Judgments, panels_of, places_of
from annotation.figures.resampling import Resampling
from annotation.rules.protocol import MAX_COMPLETIONS

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FIRST, TIE, SECOND = [[0], [1]], [[0, 1]], [[1], [0]]

Row = tuple[str, str, str, list[list[int]]]  # prompt, comparison, annotator, ranking


def read(*parts: str):
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: the real sets are no part of the project")
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def judgments(rows: list[Row]) -> Judgments:
    prompts, comparisons, annotators = (
        np.unique([row[part] for row in rows], return_inverse=True)[1] for part in range(3)
    )
    places = np.zeros((len(rows), MAX_COMPLETIONS), dtype=np.int8)
    for place, (*_, ranking) in zip(places, rows, strict=True):
        k = sum(map(len, ranking))
        place[:k] = places_of(ranking, range(k))
    return Judgments(prompts, comparisons, annotators, places)


def pandalm() -> list[Row]:
    answers = {0: TIE, 1: FIRST, 2: SECOND}
    return [
        (row["instruction"] + row["input"], str(row["idx"]), name, answers[row[name]])
        for row in read("pandalm-testset", "data", "testset-v1.json")
        for name in ("annotator1", "annotator2", "annotator3")
    ]


def tulu() -> list[Row]:
    """Five points as three; a pair of models in one order; what somebody judged twice, as they did it last."""
    latest = {}
    for row in read("tulu1-human-eval", "annotations.jsonl"):
        sides = (row["model_a"], row["model_b"])
        letter = row["preference"][0]
        ranking = TIE if letter == "t" else FIRST if (letter == "a") == (sides == tuple(sorted(sides))) else SECOND
        comparison = f"{row['instance_id']} {sorted(sides)}"
        latest[comparison, row["evaluator"]] = (row["instance_id"], comparison, row["evaluator"], ranking)
    return list(latest.values())


def square() -> list[Row]:
    """Acceptable, do not know and not acceptable, as if a response were held against a bar."""
    answers = {"acceptable": FIRST, "dont_know": TIE, "non-acceptable": SECOND}
    rows = read("square-korean", "data", "SQuARe", "with_raw_annotations", "response_test_ood_annotations.json")
    return [
        (row["question"], str(number), str(vote["workerID"]), answers[vote["acceptable?"]])
        for number, row in enumerate(rows)
        for vote in row["raw_annotations"]["Q2: Acceptable or Non-acceptable"]
    ]


def ukp() -> list[Row]:
    answers = {"a1": FIRST, "equal": TIE, "a2": SECOND}
    return [
        (row["topic"], row["id"] + row["topic"], vote["worker"], answers[vote["value"]])
        for row in read("ukp-convarg", "pairs.jsonl")
        for vote in row["annotations"]
    ]


def finegrained() -> list[Row]:
    """Four predictions each, ranked by pairwise preferences won, and by brevity: two annotators of a kind."""
    rows = []
    data = read("finegrained-rlhf", "tasks", "qa_feedback", "data", "dev_feedback.json")
    for number, row in enumerate(data):
        won = Counter()
        for (one, other), better in zip(combinations(range(4), 2), row["preference"], strict=True):
            won[one] += (better == 1) + (better == 0) / 2
            won[other] += (better == 2) + (better == 0) / 2
        first = [[item for item in range(4) if won[item] == score] for score in sorted(set(won.values()), reverse=True)]
        lengths = [len(row[f"prediction {item + 1}"]) for item in range(4)]
        by_length = [[item for item in range(4) if lengths[item] == score] for score in sorted(set(lengths))]
        rows += [(str(number), str(number), name, each) for name, each in (("won", first), ("short", by_length))]
    return rows


SETS = [pandalm, tulu, square, ukp, finegrained]


def value_of(measure, rows: list[Row]) -> float:
    given = judgments(rows)
    return measure(panels_of(given), Resampling(given.prompts, replicates=2))[0]


def category(row: Row) -> int:
    return {str(FIRST): 2, str(TIE): 1, str(SECOND): 0}[str(row[3])]


def by_comparison(rows: list[Row]) -> dict[str, list[Row]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row[1]].append(row)
    return {name: group for name, group in grouped.items() if len(group) > 1}


@pytest.mark.parametrize("load", SETS)
def test_alpha_is_that_of_krippendorff(load):
    rows = load()
    given = judgments(rows)
    values = sorted({int(place) for row in given.places for place in row if place})
    counts = np.zeros((len(set(given.comparisons.tolist())) * 4, len(values)))
    for comparison, places in zip(given.comparisons, given.places, strict=True):
        for item, place in enumerate(places[places > 0]):
            counts[comparison * 4 + item, values.index(place)] += 1
    counts = counts[counts.sum(axis=1) > 1]
    theirs = krippendorff.alpha(value_counts=counts, value_domain=values, level_of_measurement="ordinal")
    assert value_of(alpha, rows) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("load", [pandalm, square])
def test_fleiss_kappa_is_that_of_statsmodels(load):
    rows = load()
    table = [
        [[category(row) for row in group].count(each) for each in range(3)] for group in by_comparison(rows).values()
    ]
    assert value_of(fleiss_kappa, rows) == pytest.approx(inter_rater.fleiss_kappa(np.array(table)), abs=1e-9)


@pytest.mark.parametrize("load", [pandalm, tulu, ukp])
def test_cohen_kappa_of_the_two_who_share_most_is_that_of_statsmodels(load):
    rows = load()
    shared = Counter()
    for group in by_comparison(rows).values():
        shared.update(combinations(sorted(row[2] for row in group), 2))
    (couple, _), *_ = shared.most_common(1)
    theirs_rows = [row for row in rows if row[2] in couple]
    table = np.zeros((3, 3))
    for one, other in by_comparison(theirs_rows).values():
        first, second = (one, other) if one[2] == couple[0] else (other, one)
        table[category(first), category(second)] += 1
    theirs = inter_rater.cohens_kappa(table).kappa
    assert value_of(cohen_kappa, theirs_rows) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("load", SETS)
def test_tau_is_the_mean_of_scipys(load):
    rows = load()[:2000]
    taus = []
    for group in by_comparison(rows).values():
        for one, other in combinations(group, 2):
            k = sum(map(len, one[3]))
            taus.append(stats.kendalltau(places_of(one[3], range(k)), places_of(other[3], range(k))).statistic)
    assert value_of(kendall_tau, rows) == pytest.approx(np.nanmean(taus), abs=1e-9)


def test_pandalms_annotators_agree_as_far_as_their_authors_say():
    """Cohen's kappa of every two, from the table in the README of github.com/WeOpenML/PandaLM."""
    rows = pandalm()
    published = {"12": 0.85, "13": 0.88, "23": 0.86}
    for couple, kappa in published.items():
        names = [f"annotator{number}" for number in couple]
        ours = value_of(cohen_kappa, [row for row in rows if row[2] in names])
        assert round(float(ours), 2) == kappa


@pytest.mark.parametrize("load", SETS)
def test_every_figure_has_an_interval_that_holds_it(load):
    given = judgments(load())
    for figure in figures_of(given, Resampling(given.comparisons, replicates=100)):
        if load is square and figure.key == "cohen":
            assert figure.reason  # its 60 workers seldom meet
            continue
        assert figure.low < figure.value < figure.high, figure
