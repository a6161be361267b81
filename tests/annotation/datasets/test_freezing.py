"""What can be chosen when a snapshot is frozen."""

from datetime import UTC, date, datetime

import pytest

from annotation.datasets import hashing
from annotation.datasets.choice import BadAgreement, BadSpan, Choice, in_words
from annotation.datasets.freezing import NothingToFreeze, freeze
from annotation.datasets.preview import preview_of
from annotation.models import JudgeKind
from annotation.rules.aggregation import Aggregation, OneRowPer
from annotation.rules.ranking import Strength
from sampling.models import PromptSet
from tests.annotation.judged import judge, make_comparison, make_project

pytestmark = pytest.mark.django_db
PERSON = JudgeKind.PERSON


@pytest.fixture
def project():
    return make_project()


def chosen(project, **more):
    return Choice(**{"name": "june", "project_ids": (project.pk,), "kinds": (PERSON,)} | more)


def frozen(project, **more):
    return freeze(choice=chosen(project, **more), project=project)


def read(snapshot):
    return list(hashing.verified_comparisons(snapshot))


def pairs(snapshot):
    """(chosen, rejected, probability) by the texts."""
    return [
        (judged.completions[pair.chosen].text, judged.completions[pair.rejected].text, pair.probability)
        for judged in read(snapshot)
        for pair in judged.consensus().pairs
    ]


def test_several_projects_go_into_one_snapshot(project):
    other, third = make_project("Other"), make_project("Third")
    for each in (project, other, third):
        judge(make_comparison(each, ["Yes.", "No."]), "alice", [[0], [1]])
    snapshot = frozen(project, project_ids=(other.pk, project.pk))
    assert snapshot.project == project
    assert sorted(snapshot.projects.values_list("name", flat=True)) == ["Demo", "Other"]
    assert (snapshot.counts["judgments"], sorted(snapshot.counts["projects"])) == (2, ["Demo", "Other"])


def test_the_span_is_of_days_and_both_are_in_it(project):
    days = [datetime(2026, 5, 31, 23, 59, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)]
    days += [datetime(2026, 6, 30, 23, 59, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)]
    given = [judge(make_comparison(project, ["Yes.", "No."]), "alice", [[0], [1]], created_at=day) for day in days]
    snapshot = frozen(project, since=date(2026, 6, 1), until=date(2026, 6, 30))
    assert list(snapshot.judgments.order_by("pk")) == given[1:3]
    with pytest.raises(NothingToFreeze, match="from 2026-05-31 to 2026-07-01, outside of the days"):
        frozen(project, name="august", since=date(2026, 8, 1))


def test_reviewed_only_are_comparisons_that_were_decided(project):
    decided, open_one = (make_comparison(project, ["Yes.", "No."]) for _ in range(2))
    judge(decided, "alice", [[1], [0]])
    judge(decided, "rita", [[0], [1]], is_decision=True)
    judge(open_one, "alice", [[0], [1]])
    snapshot = frozen(project, reviewed_only=True)
    assert [judged.comparison_id for judged in read(snapshot)] == [decided.pk]
    assert pairs(snapshot) == [("Yes.", "No.", 1.0)]
    other = make_project("Other")
    judge(make_comparison(other, ["Yes.", "No."]), "alice", [[0], [1]])
    with pytest.raises(NothingToFreeze, match="no comparison of them has been decided by a reviewer"):
        frozen(other, reviewed_only=True)


def test_agreement_drops_pairs_of_either_kind_of_row(project):
    disputed, clear = make_comparison(project, ["Yes.", "No."]), make_comparison(project, ["Fruit.", "Jam."])
    for name, ranking in (("alice", [[0], [1]]), ("bob", [[0], [1]]), ("charlie", [[1], [0]])):
        judge(disputed, name, ranking)
        judge(clear, name, [[0], [1]])
    counts = frozen(project, agreement_threshold=0.7).counts
    # Two of three agree on the first comparison: 67 %. All three of its judgments' pairs go; those of the other stay.
    assert (counts["pairs_train"], counts["disputed"]) == (3, 3)
    assert (counts["majority_pairs_train"], counts["majority_disputed"]) == (1, 1)
    everything = frozen(project, name="all").counts
    assert (everything["pairs_train"], everything["majority_pairs_train"]) == (6, 2)


def test_strength_drops_what_is_weaker(project):
    comparison = make_comparison(project, ["Yes.", "No."])
    judge(comparison, "alice", [[0], [1]], ["slightly_better"])
    judge(comparison, "bob", [[0], [1]], ["significantly_better"])
    counts = frozen(project, min_strength=Strength.BETTER).counts
    assert (counts["pairs_train"], counts["weak"], counts["majority_pairs_train"]) == (1, 1, 1)


def test_dawid_skene_is_estimated_once_and_frozen(project):
    comparisons = [make_comparison(project, [f"Good {n}.", f"Bad {n}."]) for n in range(6)]
    for comparison in comparisons:
        judge(comparison, "alice", [[0], [1]])
        judge(comparison, "bob", [[0], [1]])
    for comparison in comparisons[:5]:
        judge(comparison, "charlie", [[1], [0]])
    open_one = make_comparison(project, ["Left.", "Right."])
    judge(open_one, "alice", [[0], [1]])
    judge(open_one, "charlie", [[1], [0]])  # one against one: by majority a conflict
    by_majority = frozen(project, name="majority")
    weighed = frozen(project, aggregation=Aggregation.DAWID_SKENE, one_row_per=OneRowPer.PAIR)
    accuracies = {int(pk): value for pk, value in weighed.settings["accuracies"].items()}
    alice, charlie = (judged.annotator_id for judged in read(weighed)[-1].judgments)
    assert accuracies[charlie] == 0.5 < accuracies[alice]
    assert by_majority.counts["majority_conflicts"] == 1
    # Charlie weighs nothing, so alone Alice's word is as probable as she is right.
    assert pairs(weighed)[-1] == ("Left.", "Right.", pytest.approx(accuracies[alice], abs=1e-6))
    weighed.refresh_from_db()
    before = pairs(weighed)
    judge(open_one, "dora", [[1], [0]])
    assert pairs(weighed) == before


def test_an_eval_prompt_of_one_set_is_held_out_in_every_other(project):
    held_out = make_comparison(project, ["Held.", "Out."], split="eval")
    twin, own = make_comparison(project, ["Twin.", "Bad."]), make_comparison(project, ["Own.", "Bad."])
    twin.prompt.prompt_set = PromptSet.objects.create(name="Other")
    twin.prompt.content_hash = held_out.prompt.content_hash
    twin.prompt.save()
    for comparison in (held_out, twin, own):
        judge(comparison, "alice", [[0], [1]])
    snapshot = frozen(project)
    assert [judged.prompt.split for judged in read(snapshot)] == ["eval", "eval", "train"]
    counts = snapshot.counts
    assert (counts["prompts_train"], counts["prompts_eval"], counts["held_out_elsewhere"]) == (1, 2, 1)
    assert (counts["pairs_train"], counts["pairs_eval"]) == (1, 2)
    # A set that is imported later changes nothing: it is not asked again.
    later = PromptSet.objects.create(name="Later")
    own.prompt.pk, own.prompt.prompt_set, own.prompt.split = None, later, "eval"
    own.prompt.save()
    assert [judged.prompt.split for judged in read(snapshot)] == ["eval", "eval", "train"]


def test_models_keep_the_names_that_they_had(project):
    comparison = make_comparison(project, ["Yes.", "No."])
    judge(comparison, "alice", [[0], [1]])
    snapshot = frozen(project)
    version = comparison.completions.first().model_version
    version.name = "renamed"
    version.save()
    assert {completion.model for completion in read(snapshot)[0].completions.values()} == {"tiny"}


def test_blocks_are_proved_one_by_one(project, monkeypatch):
    monkeypatch.setattr(hashing, "COMPARISONS_PER_BLOCK", 2)
    for number in range(5):
        comparison = make_comparison(project, ["Yes.", "No."], question=f"Question {number}?")
        judge(comparison, "alice", [[0], [1]])
        judge(comparison, "bob", [[1], [0]])
    snapshot = frozen(project)
    blocks = hashing.blocks_of(snapshot)
    assert [block.comparisons for block in blocks] == [2, 2, 1]
    by_parts = [judged for block in blocks for judged in hashing.verified_comparisons(snapshot, [block])]
    assert by_parts == read(snapshot)
    last = by_parts[-1]
    type(comparison.completions.first()).objects.filter(pk=min(last.completions)).update(text="Changed.")
    assert len(list(hashing.verified_comparisons(snapshot, blocks[:2]))) == 4
    with pytest.raises(hashing.SnapshotChanged):
        list(hashing.verified_comparisons(snapshot, blocks[2:]))


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"agreement_threshold": 0.4}, BadAgreement),
        ({"agreement_threshold": 1.1}, BadAgreement),
        ({"since": date(2026, 6, 2), "until": date(2026, 6, 1)}, BadSpan),
    ],
)
def test_what_makes_no_sense_is_refused(project, more, error):
    with pytest.raises(error):
        frozen(project, **more)


def test_a_choice_is_kept_as_it_was_made(project):
    choice = chosen(
        project, since=date(2026, 6, 1), until=date(2026, 6, 30), reviewed_only=True, agreement_threshold=0.75,
        min_strength=Strength.BETTER, one_row_per=OneRowPer.PAIR, aggregation=Aggregation.DAWID_SKENE,
    )  # fmt: skip
    assert Choice.from_json(choice.as_json()) == choice
    said = " ".join(in_words(choice))
    for words in ("from 2026-06-01 to 2026-06-30", "a reviewer decided", "75%", "better or more", "Dawid-Skene"):
        assert words in said


def test_the_preview_counts_what_freezing_then_counts(project, monkeypatch):
    for number in range(12):
        comparison = make_comparison(project, ["Yes.", "No."], split="eval" if number % 3 == 0 else "train")
        judge(comparison, "alice", [[0], [1]] if number % 4 else [[0, 1]])
        judge(comparison, "bob", [[0], [1]], ["slightly_better"])
    for more in ({}, {"one_row_per": OneRowPer.PAIR}, {"agreement_threshold": 0.8, "min_strength": Strength.BETTER}):
        preview = preview_of(chosen(project, **more))
        counts = frozen(project, name=f"n{len(more)}", **more).counts
        prefix = "majority_" if "one_row_per" in more else ""
        assert preview.pairs.train == counts[f"{prefix}pairs_train"]
        assert preview.pairs.eval == counts[f"{prefix}pairs_eval"]
        for reason in ("ties", "unsafe", "disputed", "weak"):
            assert getattr(preview.pairs, reason) == counts[f"{prefix}{reason}"]
        assert (preview.found.judgments, preview.sampled) == (24, 0)
    monkeypatch.setattr("annotation.datasets.preview.SAMPLE", 4)
    estimated = preview_of(chosen(project))
    assert 0 < estimated.sampled < 12
    assert estimated.found.judgments == 24
