"""Published judgments, imported: the report's figures are those that libraries compute on the raw files.

What is held against the report is computed here from the files as they are, by nothing of ours. No sentence is kept.
"""

import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import combinations, pairwise
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from django.contrib.auth.models import User
from scipy import stats
from statsmodels.stats import inter_rater
from statsmodels.stats.proportion import proportion_confint

from annotation.figures import report
from annotation.importing.annotators import pseudonym
from annotation.models import Judgment
from sampling.importing.actions import import_now
from sampling.importing.carrying_out import look_now
from sampling.importing.options import Options
from sampling.intake.records import FoundJudgment, JudgedBy
from tests.annotation.importing.bring import an_import, bring, record
from tests.annotation.judged import make_project

pytestmark = pytest.mark.django_db
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FIRST, TIE, SECOND = 1, 0, 2  # which of two is preferred
# By twos: the ranks that an answer gives to the first and the second.
RANKS = {FIRST: (1, 2), TIE: (1.5, 1.5), SECOND: (2, 1)}
GROUPS = {FIRST: ((0,), (1,)), TIE: ((0, 1),), SECOND: ((1,), (0,))}

Raw = dict[str, dict[str, int]]  # comparison -> annotator -> answer


def path_of(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: the real sets are no part of the project")
    return path


def lines_of(*parts: str):
    return [json.loads(line) for line in path_of(*parts).read_text().splitlines()]


@pytest.fixture
def project(db):
    return make_project("Judged elsewhere")


def imported(project):
    """The figures of agreement by name, and all of them."""
    figures = report.compute(project)["kinds"]["imported"]
    return {figure["key"]: figure["value"] for figure in figures["agreement"]}, figures


def several(raw: Raw) -> list[dict[str, int]]:
    return [answers for answers in raw.values() if len(answers) > 1]


def alpha(raw: Raw) -> float:
    """Ordinal, over ranks: each of two completions is a unit."""
    values = [1, 1.5, 2]
    counts = [
        [sum(RANKS[answer][side] == value for answer in answers.values()) for value in values]
        for answers in several(raw)
        for side in (0, 1)
    ]
    return krippendorff.alpha(value_counts=np.array(counts), value_domain=values, level_of_measurement="ordinal")


def tau(raw: Raw) -> float:
    """The mean over every two answers of a comparison, where both decide."""
    taus = []
    for answers in several(raw):
        for one, other in combinations(answers.values(), 2):
            if TIE not in (one, other):
                taus.append(stats.kendalltau(RANKS[one], RANKS[other]).statistic)
    return float(np.mean(taus))


def fleiss(raw: Raw) -> float:
    """Of comparisons with equally many answers, as statsmodels wants it."""
    table = [[Counter(answers.values())[each] for each in (FIRST, TIE, SECOND)] for answers in several(raw)]
    return inter_rater.fleiss_kappa(np.array(table))


def cohen(raw: Raw, one: str, other: str) -> float:
    table = np.zeros((3, 3))
    for answers in raw.values():
        if one in answers and other in answers:
            table[answers[one], answers[other]] += 1
    return inter_rater.cohens_kappa(table).kappa


def pooled_cohen(raw: Raw) -> float:
    """De Vries et al. 2008 over every two annotators with 20 comparisons in common, from their statsmodels tables."""
    tables = defaultdict(lambda: np.zeros((3, 3)))
    for answers in several(raw):
        for (one, said), (other, replied) in combinations(sorted(answers.items()), 2):
            tables[one, other][said, replied] += 1
    kept = [table for table in tables.values() if table.sum() >= 20]
    observed = sum(np.trace(table) for table in kept) / sum(table.sum() for table in kept)
    chance = sum(table.sum(axis=1) @ table.sum(axis=0) / table.sum() for table in kept) / sum(
        table.sum() for table in kept
    )
    return (observed - chance) / (1 - chance)


def in_order_of_appearance(seen: dict, first, second) -> dict[int, int]:
    """What each answer is where the first of two is that which came first in the file.

    Kappas depend a little on which of two is called the first, and an answer that stands in several pairs is the first
    in some and the second in others: ours is the order of appearance, everywhere.
    """
    one, other = (seen.setdefault(side, len(seen)) for side in (first, second))
    return {FIRST: SECOND, SECOND: FIRST, TIE: TIE} if one > other else {each: each for each in RANKS}


# --- PandaLM: three named annotators of each pair --------------------------------------------------------------------


def test_pandalm_by_mapping_alone(project):
    source = path_of("pandalm-testset", "data", "testset-v1.json")
    mapping = {
        "prompt": "instruction + input",
        "completion_a": "response1",
        "completion_b": "response2",
        "writers": "cmp_key",
        "preference": "annotator1 + annotator2 + annotator3",
        "id": "idx",
    }
    options = Options(format="mapped", mapping=mapping, store={"project": project.slug})
    done = import_now(what="judgments", prompt_set_name="PandaLM", location=str(source), options=options)
    rows = json.loads(source.read_text())
    # Every row, also those with an answer that is empty, or true and no text: each was said, and judged by three.
    assert not done.left_out.exists()
    assert done.judgments_added == 3 * len(rows)
    # What a look counts is what came in: many rows have the same prompt and answers.
    seen, _ = look_now(done, lambda progress: None)
    added = {"prompts": done.prompts_added, "completions": done.completions_added}
    assert seen["records"] == added | {"judgments": done.judgments_added}
    assert seen["known"] == added | {"rows": len(rows)}

    names, seen = ("annotator1", "annotator2", "annotator3"), {}
    raw = {}
    for row in rows:
        asked = (row["instruction"], row["input"])
        writers = row["cmp_key"].split("_")
        sides = [(asked, writer, row[f"response{n}"]) for n, writer in enumerate(writers, start=1)]
        turned = in_order_of_appearance(seen, *sides)
        raw[str(row["idx"])] = {name: turned[row[name]] for name in names}
    found, figures = imported(project)
    assert found["alpha"] == pytest.approx(alpha(raw), abs=1e-9)
    assert found["fleiss"] == pytest.approx(fleiss(raw), abs=1e-9)
    assert found["cohen"] == pytest.approx(pooled_cohen(raw), abs=1e-9)
    assert found["tau"] == pytest.approx(tau(raw), abs=1e-9)
    assert_win_rates(figures["win_rates"], rows)


def assert_win_rates(found, rows) -> None:
    """Of every two of the five models: wins, ties and losses, and the interval of statsmodels, over all annotators."""
    met = defaultdict(Counter)
    for row in rows:
        one, other = row["cmp_key"].split("_")
        for name in ("annotator1", "annotator2", "annotator3"):
            met[one, other][row[name]] += 1
    assert len(found["pairs"]) == len(met)
    for pair in found["pairs"]:
        first, second = (found["writers"][pair[side]] for side in ("first", "second"))
        said = met.get((first, second))
        wins, losses = (FIRST, SECOND) if said else (SECOND, FIRST)
        said = said or met[second, first]
        assert (pair["wins"], pair["ties"], pair["losses"]) == (said[wins], said[TIE], said[losses])
        count = sum(said.values())
        won = said[wins] + said[TIE] / 2
        assert pair["value"] == pytest.approx(won / count)
        assert (pair["wilson_low"], pair["wilson_high"]) == pytest.approx(
            proportion_confint(won, count, method="wilson")
        )
        assert pair["low"] < pair["value"] < pair["high"]


def test_two_of_pandalms_annotators_agree_as_cohen_says(project):
    rows = json.loads(path_of("pandalm-testset", "data", "testset-v1.json").read_text())
    names = ("annotator1", "annotator3")
    bring(
        an_import(project),
        [
            record(
                *(FoundJudgment(GROUPS[row[name]], annotator=name) for name in names),
                texts=[f"1: {row['response1']}", f"2: {row['response2']}"],
                question=f"{row['idx']} {row['instruction']}",
            )
            for row in rows
        ],
    )
    raw = {str(row["idx"]): {name: row[name] for name in names} for row in rows}
    assert imported(project)[0]["cohen"] == pytest.approx(cohen(raw, *names), abs=1e-9)


# --- Tulu 1: five points, sixteen evaluators, some of whom judged a pair twice ---------------------------------------


def test_tulu_by_mapping_alone(project):
    rows = lines_of("tulu1-human-eval", "annotations.jsonl")
    mapping = {
        "prompt": "prompt",
        **{f"{ours}_{side}": theirs.format(side) for side in "ab" for ours, theirs in (
            ("completion", "completion_{}"), ("writer", "model_{}"), ("acceptable", "completion_{}_is_acceptable"),
        )},
        "preference": "preference", "annotator": "evaluator", "time": "timestamp", "rationale": "comment",
    }  # fmt: skip
    options = Options(format="mapped", mapping=mapping, store={"project": project.slug})
    source = path_of("tulu1-human-eval", "annotations.jsonl")
    done = import_now(what="judgments", prompt_set_name="Tulu", location=str(source), options=options)

    told = dict(done.left_out.values_list("line", "reason"))
    older = {line for line, reason in told.items() if "which is later" in reason}
    kept = [row for line, row in enumerate(rows, start=1) if line not in told or line in older]
    raw = newest(kept)
    found, figures = imported(project)
    assert figures["judgments"] == sum(map(len, raw.values()))
    assert figures["annotators"] == 16
    assert found["alpha"] == pytest.approx(alpha(raw), abs=1e-9)
    assert found["tau"] == pytest.approx(tau(raw), abs=1e-9)
    assert found["cohen"] == pytest.approx(pooled_cohen(raw), abs=1e-9)

    strengths = Counter(
        judgment.strengths[0] if judgment.strengths else "tie" for judgment in Judgment.objects.current()
    )
    assert set(strengths) == {"better", "slightly_better", "tie"}
    names = {row["evaluator"] for row in rows}
    assert set(User.objects.values_list("username", flat=True)) == {
        pseudonym(project, f"named:{name}") for name in names
    }
    taken = datetime.fromisoformat(min(row["timestamp"] for row in kept))
    assert Judgment.objects.earliest("created_at").created_at.replace(tzinfo=None) == taken


def newest(rows) -> Raw:
    """Of what an evaluator said of the same two answers, the newest; first of two is what came first in the file."""
    said: dict[tuple, tuple] = {}
    seen: dict[tuple, int] = {}
    for number, row in enumerate(rows):
        sides = [(row["prompt"], row[f"model_{side}"], row[f"completion_{side}"]) for side in "ab"]
        turned = in_order_of_appearance(seen, *sides)
        answer = turned[{"a": FIRST, "b": SECOND, "t": TIE}[row["preference"][0]]]
        comparison = json.dumps(sorted(sides))
        place = (comparison, row["evaluator"])
        said[place] = max(said.get(place, ("", -1, None)), (row["timestamp"], number, answer))
    raw: Raw = defaultdict(dict)
    for (comparison, evaluator), (*_, answer) in said.items():
        raw[comparison][evaluator] = answer
    return raw


# --- UKP: thirteen thousand pairs, five workers each, joined with their arguments ------------------------------------


@pytest.mark.slow
def test_ukps_pairs_joined_with_their_arguments(project):
    texts = {(row["topic"], row["id"]): row["text"] for row in lines_of("ukp-convarg", "arguments.jsonl")}
    answers = {"a1": FIRST, "equal": TIE, "a2": SECOND}
    rows = lines_of("ukp-convarg", "pairs.jsonl")
    records, raw, seen = [], {}, {}
    for row in rows:
        sides = [(texts[row["topic"], row[side]], row[side]) for side in ("arg1", "arg2")]
        said = {vote["worker"]: vote for vote in row["annotations"]}
        records.append(
            record(
                *(
                    FoundJudgment(GROUPS[answers[vote["value"]]], annotator=worker, by=JudgedBy.PERSON,
                                  at=moment(vote["submitted"]), rationale=vote["reason"] or "")
                    for worker, vote in said.items()
                ),
                texts=sides, question=f"{row['title']}: {row['topic']}",
            )
        )  # fmt: skip
        turned = in_order_of_appearance(seen, *((row["topic"], row[side]) for side in ("arg1", "arg2")))
        raw[f"{row['topic']} {row['id']}"] = {worker: turned[answers[vote["value"]]] for worker, vote in said.items()}
    stored = bring(an_import(project), records, at_once=1000)
    assert not stored.rejected
    assert stored.judgments == sum(map(len, raw.values()))
    assert stored.comparisons == len(rows)
    found, figures = imported(project)
    assert found["alpha"] == pytest.approx(alpha(raw), abs=1e-9)
    assert found["cohen"] == pytest.approx(pooled_cohen(raw), abs=1e-9)
    assert found["tau"] == pytest.approx(tau(raw), abs=1e-9)
    five = {name: said for name, said in raw.items() if len(said) == 5}
    if len(five) == len(several(raw)):  # statsmodels wants as many raters everywhere
        assert found["fleiss"] == pytest.approx(fleiss(five), abs=1e-9)
    assert figures["annotators"] == len({worker for said in raw.values() for worker in said})


def moment(written: str) -> datetime:
    """ "2016-01-31 16:53:19.0 UTC" """
    return datetime.strptime(written.replace("UTC", "+0000"), "%Y-%m-%d %H:%M:%S.%f %z")


# --- Open Assistant: ranked replies, as many as there are ------------------------------------------------------------


def test_open_assistants_trees(project):
    source = path_of("oasst-samples", "model", "model_eval", "manual", "data", "en_100_tree.jsonl")
    done = import_now(
        what="judgments", prompt_set_name="Trees", location=str(source),
        options=Options(format="open_assistant", store={"project": project.slug}),
    )  # fmt: skip
    told = set(done.left_out.values_list("line", flat=True))
    expected = Counter()
    for line, row in enumerate(map(json.loads, source.read_text().splitlines()), start=1):
        if line not in told:
            expected.update(ranked_replies(row["prompt"]))
    rows = Judgment.objects.values_list("ranking", flat=True)
    texts = dict(project.comparisons.values_list("completions__pk", "completions__text"))
    found = Counter(tuple(texts[group[0]] for group in ranking) for ranking in rows if max(map(len, ranking)) == 1)
    assert found == expected
    assert len({len(ranking) for ranking in found}) > 1  # unequal K
    assert imported(project)[1]["judgments"] == sum(expected.values())


def ranked_replies(node) -> Counter:
    """The texts of every user message's ranked replies, best first."""
    found = Counter()
    replies = [reply for reply in node.get("replies") or [] if not reply.get("deleted")]
    ranked = sorted((reply for reply in replies if reply.get("rank") is not None), key=lambda reply: reply["rank"])
    if node["role"] == "prompter" and len(ranked) > 1:
        assert all(one["rank"] < other["rank"] for one, other in pairwise(ranked))
        found[tuple(reply["text"] for reply in ranked)] += 1
    for reply in replies:
        found.update(ranked_replies(reply))
    return found


# --- SQuARe: Korean, three workers a response ------------------------------------------------------------------------


def test_squares_responses_are_ranked_by_the_votes_for_them_in_korean(project):
    """Every two responses to a question: that with more votes for it is preferred. One judgment each, of votes."""
    parts = ("square-korean", "data", "SQuARe", "with_raw_annotations", "response_test_ood_annotations.json")
    asked = defaultdict(list)
    for row in json.loads(path_of(*parts).read_text()):
        votes = [vote["acceptable?"] for vote in row["raw_annotations"]["Q2: Acceptable or Non-acceptable"]]
        asked[row["question"]].append((row["response"], votes.count("acceptable")))
    records, expected = [], {}
    for question, responses in asked.items():
        responses = list(dict(responses).items())
        if len(responses) < 2:
            continue
        scores = sorted({score for _, score in responses}, reverse=True)
        groups = tuple(tuple(n for n, (_, own) in enumerate(responses) if own == score) for score in scores)
        given = FoundJudgment(groups, by=JudgedBy.VOTES)
        records.append(record(given, texts=[text for text, _ in responses], question=question))
        expected[question] = [{responses[n][0] for n in group} for group in groups]
    stored = bring(an_import(project), records)
    assert (stored.judgments, stored.rejected) == (len(expected), {})
    texts = dict(project.comparisons.values_list("completions__pk", "completions__text"))
    for judgment in Judgment.objects.select_related("comparison__prompt"):
        question = judgment.comparison.prompt.messages[0]["content"]
        assert [{texts[pk] for pk in group} for group in judgment.ranking] == expected[question]
        assert judgment.source["by"] == "votes"
    agreement, figures = imported(project)
    assert set(agreement.values()) == {None}  # one voice on each: nothing to agree with
    assert figures["annotators"] == 1


def test_squares_workers_agree_as_far_as_the_libraries_say(project):
    """Each response held against a bar, as the verdict is meant: acceptable is above it, do not know is level."""
    parts = ("square-korean", "data", "SQuARe", "with_raw_annotations", "response_test_ood_annotations.json")
    answers = {"acceptable": FIRST, "dont_know": TIE, "non-acceptable": SECOND}
    raw, records = {}, []
    for number, row in enumerate(json.loads(path_of(*parts).read_text())):
        votes = row["raw_annotations"]["Q2: Acceptable or Non-acceptable"]
        raw[str(number)] = {str(vote["workerID"]): answers[vote["acceptable?"]] for vote in votes}
        given = [FoundJudgment(GROUPS[answer], annotator=worker) for worker, answer in raw[str(number)].items()]
        records.append(record(*given, texts=[row["response"], "(the bar)"], question=f"{number} {row['question']}"))
    bring(an_import(project), records)
    found, _ = imported(project)
    assert found["alpha"] == pytest.approx(alpha(raw), abs=1e-9)
    assert found["fleiss"] == pytest.approx(fleiss(raw), abs=1e-9)
    assert found["tau"] == pytest.approx(tau(raw), abs=1e-9)
