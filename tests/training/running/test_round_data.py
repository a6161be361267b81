"""The files that a round's stages read: whose judgments, of which snapshots, and never what is held out."""

import json
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotation.datasets.exports import ExportRefused
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import Comparison, JudgeKind, Judgment
from sampling.models import Completion, DataImport, Prompt, PromptSet
from sampling.prompt_files import GoodPrompt
from tests.annotation.judged import judge, make_comparison, make_project, make_user
from tests.training.rounds import make_demonstrations, make_prompt
from training.models import StageKind
from training.running import round_data

pytestmark = pytest.mark.django_db

PERSON, SIMULATED = JudgeKind.PERSON, JudgeKind.SIMULATED
SAFE, UNSAFE = ({"safety": mark, "aspects": {}, "defects": []} for mark in ("safe", "unsafe"))


@pytest.fixture
def project(db):
    return make_project()


@pytest.fixture
def asked(tmp_path):
    """A round as far as its data need one, with a recipe of DPO on people's judgments alone."""

    def ask(snapshot, *, earlier=(), demonstrations=None, recipe=None, **dpo):
        return SimpleNamespace(
            run_dir=tmp_path / uuid.uuid4().hex, snapshot=snapshot, claim=uuid.uuid4(), demonstrations=demonstrations,
            recipe=recipe or {"dpo": {"judges": "people"} | dpo}, earlier=lambda: list(earlier),
        )  # fmt: skip

    return ask


def frozen(project, name="june"):
    return freeze_snapshot(project=project, name=name, kinds=list(JudgeKind))


def round_before(snapshot, *, number=1, sampled: Path | None = None):
    """An earlier round, with the candidates that it left."""
    stage = SimpleNamespace(run_dir=sampled) if sampled else None
    stages = SimpleNamespace(filter=lambda **_: SimpleNamespace(first=lambda: stage))
    return SimpleNamespace(snapshot=snapshot, number=number, stages=stages)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def pairs(path: Path) -> list[tuple[str, str]]:
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows(path)]


def same_question(prompt: Prompt, other: Prompt) -> None:
    """Another set's prompt asks, word for word, what this one asks."""
    content_hash = GoodPrompt(0, other.messages).content_hash
    Prompt.objects.filter(pk=other.pk).update(content_hash=content_hash)
    prompt_set = PromptSet.objects.get_or_create(name="Others")[0]
    Prompt.objects.filter(pk=prompt.pk).update(
        prompt_set=prompt_set, messages=other.messages, content_hash=content_hash
    )


# --- whose judgments -------------------------------------------------------------------------------------------------


def test_for_people_the_majority_is_over_persons_alone_and_for_all_over_everybody(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    judge(comparison, "alice", [[0], [1]])
    for name in ("sim-1", "sim-2"):
        judge(comparison, name, [[1], [0]], kind=SIMULATED)
    recipe = {"reward_model": {"judges": "all"}, "dpo": {"judges": "people"}}
    data = round_data.write_data(round=asked(frozen(project), recipe=recipe))
    assert pairs(data / "people" / "train.jsonl") == [("Good.", "Bad.")]  # one of one
    assert pairs(data / "all" / "train.jsonl") == [("Bad.", "Good.")]  # two of three


def test_what_only_simulated_annotators_judged_is_in_no_file_of_people(project, asked):
    judge(make_comparison(project, ["Good.", "Bad."]), "sim", [[0], [1]], kind=SIMULATED)
    data = round_data.write_data(round=asked(frozen(project)))
    assert pairs(data / "people" / "train.jsonl") == []
    assert not (data / "all").exists()


def test_a_reviewers_decision_is_a_persons_and_outvotes_everybody(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    for name in ("alice", "bob"):
        judge(comparison, name, [[0], [1]])
    judge(comparison, "carol", [[1], [0]], is_decision=True)
    data = round_data.write_data(round=asked(frozen(project)))
    (row,) = rows(data / "people" / "train.jsonl")
    assert (row["chosen"][0]["content"], row["is_decision"], row["votes"]) == ("Bad.", True, 1)


def test_each_split_has_a_file_however_empty(project, asked):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    data = round_data.write_data(round=asked(frozen(project)))
    assert len(rows(data / "people" / "train.jsonl")) == 1
    assert rows(data / "people" / "eval.jsonl") == []


# --- ties ------------------------------------------------------------------------------------------------------------


def test_ties_are_rows_of_their_own_only_where_they_are_asked_for(project, asked):
    comparison = make_comparison(project, ["One.", "Other.", "Worse."])
    judge(comparison, "alice", [[0, 1], [2]])
    judge(make_comparison(project, ["One.", "Other."], split="eval"), "alice", [[0, 1]])
    snapshot = frozen(project)
    without = rows(round_data.write_data(round=asked(snapshot)) / "people" / "train.jsonl")
    assert not any("tie" in row for row in without)
    data = round_data.write_data(round=asked(snapshot, ties=True)) / "people"
    assert [row for row in rows(data / "train.jsonl") if "tie" not in row] == without
    (tie,) = (row for row in rows(data / "train.jsonl") if row.get("tie"))
    assert (tie["chosen"][0]["content"], tie["rejected"][0]["content"]) == ("One.", "Other.")
    assert (tie["strength"], tie["margin"]) == ("negligibly_better", 0.0)
    assert rows(data / "eval.jsonl") == []  # which side of a tie is better cannot be measured


def test_a_tie_is_what_more_than_half_see_and_no_conflict_is_one(project, asked):
    disputed = make_comparison(project, ["One.", "Other."])
    judge(disputed, "alice", [[0], [1]])
    judge(disputed, "bob", [[1], [0]])
    mostly = make_comparison(project, ["Third.", "Fourth."])
    for name in ("alice", "bob"):
        judge(mostly, name, [[0, 1]])
    judge(mostly, "carol", [[0], [1]])
    data = round_data.write_data(round=asked(frozen(project), ties=True)) / "people"
    assert pairs(data / "train.jsonl") == [("Third.", "Fourth.")]


def test_a_safe_and_an_unsafe_completion_are_no_tie_to_learn_from(project, asked):
    judge(make_comparison(project, ["One.", "Other."]), "alice", [[0, 1]], marks={0: SAFE, 1: UNSAFE})
    data = round_data.write_data(round=asked(frozen(project), ties=True)) / "people"
    assert pairs(data / "train.jsonl") == []
    assert undecided(data) == [("tie", ["One.", "Other."])]


# --- what teaches nothing --------------------------------------------------------------------------------------------


def undecided(folder: Path) -> list[tuple[str, list[str]]]:
    return [(row["reason"], row["texts"]) for row in rows(folder / "undecided.jsonl")]


def test_pairs_of_which_no_row_is_made_are_listed_with_the_reason_by_whose_judgments_count(project, asked):
    comparison = make_comparison(project, ["A.", "B.", "C."])
    judge(comparison, "alice", [[0], [1, 2]])
    judge(comparison, "bob", [[1], [0], [2]])
    judge(comparison, "sim", [[1, 0], [2]], kind=SIMULATED)
    unsafe = make_comparison(project, ["Unsafe.", "Safe."], split="eval")
    judge(unsafe, "alice", [[0], [1]], marks={0: UNSAFE, 1: SAFE})
    recipe = {"reward_model": {"judges": "all"}, "dpo": {"judges": "people"}}
    data = round_data.write_data(round=asked(frozen(project), recipe=recipe))
    # A against B: one for each of two; of three, one each and one tie. A over C: all. B against C: a tie and one for B,
    # and of all three, two for B.
    apart = ("unsafe_over_safe", ["Unsafe.", "Safe."])
    assert undecided(data / "people") == [("conflict", ["A.", "B."]), ("conflict", ["B.", "C."]), apart]
    assert undecided(data / "all") == [("conflict", ["A.", "B."]), apart]
    listed = rows(data / "people" / "undecided.jsonl")
    assert [(row["split"], row["latest"], row["snapshot"]) for row in listed] == [
        ("train", True, "june"), ("train", True, "june"), ("eval", True, "june"),
    ]  # fmt: skip


def test_what_only_others_judged_is_listed_where_people_alone_count(project, asked):
    judge(make_comparison(project, ["A.", "B."]), "sim", [[0], [1]], kind=SIMULATED)
    judge(make_comparison(project, ["C.", "D."]), "sim", [[0, 1]], kind=SIMULATED)  # a tie is no pair to miss
    both = make_comparison(project, ["E.", "F."])
    judge(both, "alice", [[0], [1]])
    judge(both, "sim", [[1], [0]], kind=SIMULATED)
    data = round_data.write_data(round=asked(frozen(project)))
    assert undecided(data / "people") == [("not_judged_by_people", ["A.", "B."])]
    assert [row["chosen"][0]["content"] for row in rows(data / "people" / "train.jsonl")] == ["E."]


def test_a_tie_is_listed_unless_it_is_a_row_to_learn_from(project, asked):
    judge(make_comparison(project, ["One.", "Other."]), "alice", [[0, 1]])
    judge(make_comparison(project, ["Held.", "Out."], split="eval"), "alice", [[0, 1]])
    snapshot = frozen(project)
    without = undecided(round_data.write_data(round=asked(snapshot)) / "people")
    assert without == [("tie", ["One.", "Other."]), ("tie", ["Held.", "Out."])]
    asked_for = round_data.write_data(round=asked(snapshot, ties=True)) / "people"
    assert undecided(asked_for) == [("tie", ["Held.", "Out."])]


def test_as_many_are_listed_as_the_snapshot_counts(project, asked):
    for number in range(3):
        comparison = make_comparison(project, ["A.", "B.", "C.", "D."], question=f"{number}?")
        judge(comparison, "alice", [[0], [1, 2], [3]])
        judge(comparison, "bob", [[3], [1, 2], [0]])
    snapshot = frozen(project)
    data = round_data.write_data(round=asked(snapshot)) / "people"
    # Each: B and C tie for both. A and D are the two's opposites, so each of the other five pairs is a conflict.
    assert sorted(reason for reason, _ in undecided(data)) == ["conflict"] * 15 + ["tie"] * 3
    assert (snapshot.counts["majority_conflicts"], snapshot.counts["majority_ties"]) == (15, 3)


# --- earlier snapshots -----------------------------------------------------------------------------------------------


def test_pairs_of_earlier_snapshots_come_where_a_stage_asks_for_all_and_say_so(project, asked):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    june = frozen(project)
    other = make_project("Other")
    judge(make_comparison(other, ["Fine.", "Poor."]), "alice", [[0], [1]])
    july = frozen(other, "july")
    alone = round_data.write_data(round=asked(july, earlier=[round_before(june)])) / "people"
    assert pairs(alone / "train.jsonl") == [("Fine.", "Poor.")]
    both = round_data.write_data(round=asked(july, earlier=[round_before(june)], snapshots="all")) / "people"
    said = [(row["chosen"][0]["content"], row["snapshot"], row["latest"]) for row in rows(both / "train.jsonl")]
    assert said == [("Fine.", "july", True), ("Good.", "june", False)]


def test_of_a_comparison_in_two_snapshots_the_latest_wins(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    first = judge(comparison, "alice", [[0], [1]])
    june = frozen(project)
    judge(comparison, "alice", [[1], [0]], supersedes=first)
    july = frozen(project, "july")
    data = round_data.write_data(round=asked(july, earlier=[round_before(june)], snapshots="all")) / "people"
    assert pairs(data / "train.jsonl") == [("Bad.", "Good.")]
    assert [row["latest"] for row in rows(data / "train.jsonl")] == [True]


def test_of_several_earlier_snapshots_the_newest_wins(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    first = judge(comparison, "alice", [[0], [1]])
    may = frozen(project, "may")
    judge(comparison, "alice", [[1], [0]], supersedes=first)
    june = frozen(project)
    other = make_project("Other")
    judge(make_comparison(other, ["Fine.", "Poor."]), "alice", [[0], [1]])
    earlier = [round_before(may), round_before(june, number=2)]
    data = round_data.write_data(round=asked(frozen(other, "july"), earlier=earlier, snapshots="all")) / "people"
    assert pairs(data / "train.jsonl") == [("Fine.", "Poor."), ("Bad.", "Good.")]


# --- what is held out ------------------------------------------------------------------------------------------------


@pytest.fixture
def judged_twins(project):
    """A train prompt of another set that is, word for word, an eval prompt; and one more pair of either split."""
    held_out = make_comparison(project, ["Held.", "Out."], question="What is held out?", split="eval")
    twin = make_comparison(project, ["Leaked.", "Worse."])
    for comparison in (held_out, twin, make_comparison(project, ["Good.", "Bad."], question="Free?")):
        judge(comparison, "alice", [[0], [1]])
    same_question(twin.prompt, held_out.prompt)
    make_prompt("Unjudged?", split="eval")
    return SimpleNamespace(held_out=held_out.prompt, twin=twin.prompt)


def test_eval_prompts_reach_no_training_file(project, asked, judged_twins):
    data = round_data.write_data(round=asked(frozen(project)))
    trained = {row["id"] for row in rows(data / "prompts_train.jsonl")}
    held_out = {row["id"] for row in rows(data / "prompts_eval.jsonl")}
    assert pairs(data / "people" / "train.jsonl") == [("Good.", "Bad.")]
    # Of one snapshot what is held out by its words was frozen as held out: it is measured on.
    assert pairs(data / "people" / "eval.jsonl") == [("Held.", "Out."), ("Leaked.", "Worse.")]
    assert str(judged_twins.held_out.pk) in held_out
    assert str(judged_twins.twin.pk) not in trained
    assert [row["id"] for row in rows(data / "held_out_prompts.jsonl")] == [str(judged_twins.twin.pk)]
    assert pairs(data / "people" / "held_out.jsonl") == []
    assert len(held_out) == 2  # the judged one, and one of the same set that was not
    assert len(trained) == 1


def test_what_an_earlier_rounds_sets_hold_out_is_not_trained_on_either(project, asked):
    held_out = make_comparison(project, ["Held.", "Out."], question="What is held out?", split="eval")
    judge(held_out, "alice", [[0], [1]])
    june = frozen(project)
    other = make_project("Other")
    twin = make_comparison(other, ["Leaked.", "Worse."])
    judge(twin, "alice", [[0], [1]])
    same_question(twin.prompt, held_out.prompt)
    data = round_data.write_data(round=asked(frozen(other, "july"), earlier=[round_before(june)]))
    assert pairs(data / "people" / "train.jsonl") == []
    assert pairs(data / "people" / "held_out.jsonl") == [("Leaked.", "Worse.")]
    assert rows(data / "prompts_train.jsonl") == []


def test_earlier_candidates_of_what_is_held_out_now_are_not_pooled(project, asked, judged_twins, tmp_path):
    def candidate(prompt_id, question):
        asked_now = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        return {"prompt_id": prompt_id, "messages": asked_now, "index": 0, "text": "So.", "score": 0.5}

    found = [
        candidate(str(judged_twins.twin.pk), "by its id"),
        candidate("of a database that is gone", "What is held out?"),
        candidate("77777", "Free?"),
    ]
    (tmp_path / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    snapshot = frozen(project)
    earlier = [round_before(snapshot, number=1, sampled=tmp_path), round_before(snapshot, number=2)]
    recipe = {"rejection_sampling": {"pool": "all_rounds"}}
    data = round_data.write_data(round=asked(snapshot, earlier=earlier, recipe=recipe))
    assert [path.name for path in (data / "pool").iterdir()] == ["0001.jsonl"]  # the second sampled nothing
    assert [row["prompt_id"] for row in rows(data / "pool" / "0001.jsonl")] == ["77777"]
    assert rows(data / "held_out_pool.jsonl") == found[:2]


def test_nothing_is_pooled_unless_the_recipe_asks(project, asked, judged_twins, tmp_path):
    earlier = [round_before(frozen(project), sampled=tmp_path)]
    recipe = {"rejection_sampling": {"pool": "this_round"}}
    assert not (
        round_data.write_data(round=asked(frozen(project, "july"), earlier=earlier, recipe=recipe)) / "pool"
    ).exists()


def test_demonstrations_that_answer_an_eval_prompt_are_set_apart_with_their_lines(project, asked, tmp_path):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    question = [{"role": "user", "content": "How?"}]
    make_prompt("How?", split="eval", content_hash=GoodPrompt(0, question).content_hash)
    shown = make_demonstrations(tmp_path / "set.jsonl", "Why?", "How?", "When?")
    recipe = {StageKind.DEMONSTRATIONS.value: {"epochs": 1}}
    data = round_data.write_data(round=asked(frozen(project), demonstrations=shown, recipe=recipe))
    assert [row["line"] for row in rows(data / "demonstrations.jsonl")] == [1, 3]
    assert [row["line"] for row in rows(data / "held_out_demonstrations.jsonl")] == [2]


def test_an_eval_prompt_in_the_middle_of_a_demonstration_counts_too(project, asked, tmp_path):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    turns = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]
    make_prompt("How?", split="eval", content_hash=GoodPrompt(0, turns[:1]).content_hash)
    shown = make_demonstrations(tmp_path / "set.jsonl")
    more = [*turns, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "Thus."}]
    Path(shown.location).write_text(json.dumps({"messages": more}) + "\n")
    data = round_data.write_data(
        round=asked(frozen(project), demonstrations=shown, recipe={"demonstrations": {"epochs": 1}})
    )
    assert rows(data / "demonstrations.jsonl") == []
    assert len(rows(data / "held_out_demonstrations.jsonl")) == 1


# --- writing ---------------------------------------------------------------------------------------------------------


def test_the_data_is_written_once(project, asked):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    wanted = asked(frozen(project))
    data = round_data.write_data(round=wanted)
    before = (data / "people" / "train.jsonl").stat().st_ino
    assert round_data.write_data(round=wanted) == data
    assert (data / "people" / "train.jsonl").stat().st_ino == before


def test_a_snapshot_that_is_not_what_was_frozen_gives_no_data(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    judge(comparison, "alice", [[0], [1]])
    wanted = asked(frozen(project))
    Completion.objects.filter(comparisons=comparison, text="Bad.").update(text="Changed by hand.")
    with pytest.raises(ExportRefused, match="was changed in the database by hand"):
        round_data.write_data(round=wanted)
    assert list(wanted.run_dir.iterdir()) == []


def test_a_set_of_demonstrations_that_is_gone_is_told_by_its_place(project, asked, tmp_path):
    judge(make_comparison(project, ["Good.", "Bad."]), "alice", [[0], [1]])
    shown = make_demonstrations(tmp_path / "set.jsonl", "Why?")
    Path(shown.location).unlink()
    with pytest.raises(ExportRefused, match=r"set\.jsonl is gone"):
        round_data.write_data(
            round=asked(frozen(project), demonstrations=shown, recipe={"demonstrations": {"epochs": 1}})
        )


def test_the_same_snapshot_gives_the_same_bytes(project, asked):
    for number in range(3):
        judge(make_comparison(project, ["Good.", "Bad."], question=f"{number}?"), "alice", [[0], [1]])
    assert Comparison.objects.count() == 3
    snapshot = frozen(project)
    first, second = (round_data.write_data(round=asked(snapshot)) for _ in range(2))
    for path in first.rglob("*.jsonl"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_imported_judgments_count_where_a_stage_asks_for_them(project, asked):
    comparison = make_comparison(project, ["Good.", "Bad."])
    source = DataImport.objects.create(what="judgments", prompt_set=comparison.prompt.prompt_set, name="votes.csv")
    good, bad = comparison.completions.order_by("index")
    Judgment.objects.create(
        comparison=comparison, annotator=make_user("elsewhere-1"), data_import=source, kind=JudgeKind.IMPORTED,
        ranking=[[good.pk], [bad.pk]], strengths=["better"], request_key=uuid.uuid4(),
    )  # fmt: skip
    judge(make_comparison(project, ["So.", "Not so."]), "sim-brief", [[0], [1]], kind=JudgeKind.SIMULATED)
    both = freeze_snapshot(project=project, name="both", kinds=[JudgeKind.IMPORTED, JudgeKind.SIMULATED])
    data = round_data.write_data(round=asked(both, judges="people_and_imported")) / "people_and_imported"
    assert pairs(data / "train.jsonl") == [("Good.", "Bad.")]
    assert [row["reason"] for row in rows(data / "undecided.jsonl")] == ["not_judged_by_people"]
