"""Freezing judgments."""

import hashlib
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.datasets import hashing
from annotation.datasets.chosen import available, to_freeze
from annotation.datasets.counts import asked_by
from annotation.datasets.freezing import BadName, NameTaken, NothingToFreeze, UnknownKind
from annotation.datasets.snapshots import choice_of, freeze_snapshot
from annotation.models import DatasetSnapshot, JudgeKind, Judgment, Purpose
from sampling.models import Completion, Prompt
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db
PERSON, SIMULATED, MODEL = JudgeKind.PERSON, JudgeKind.SIMULATED, JudgeKind.MODEL


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def comparison(project):
    return make_comparison(project, ["Fruit and sugar.", "A traffic jam.", "Jam!"])


def test_a_snapshot_holds_the_judgments_of_the_kinds_that_were_asked_for(project, comparison):
    alices = judge(comparison, "alice", [[0], [1], [2]])
    judge(comparison, "sim-brief", [[1], [0], [2]], kind=SIMULATED)
    judge(comparison, "critic", [[1], [0], [2]], kind=MODEL)
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON], created_by=make_user("alice"))
    assert list(snapshot.judgments.all()) == [alices]
    assert snapshot.kinds == ["person"]
    assert snapshot.counts["by_kind"] == {"person": 1}
    assert snapshot.created_by.username == "alice"


def test_kinds_are_mixed_when_that_is_asked_for(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    judge(comparison, "sim-brief", [[1], [0], [2]], kind=SIMULATED)
    snapshot = freeze_snapshot(project=project, name="june", kinds=[SIMULATED, PERSON])
    assert snapshot.kinds == ["person", "simulated"]
    assert snapshot.counts["by_kind"] == {"person": 1, "simulated": 1}


def test_only_the_newest_revision_is_frozen(project, comparison):
    first = judge(comparison, "alice", [[0], [1], [2]])
    second = judge(comparison, "alice", [[1], [0], [2]], supersedes=first)
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    assert list(snapshot.judgments.all()) == [second]


def test_judgments_of_another_project_stay_out(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    judge(make_comparison(make_project("Other"), ["Yes.", "No."]), "alice", [[0], [1]])
    assert freeze_snapshot(project=project, name="june", kinds=[PERSON]).counts["judgments"] == 1


def test_the_counts_say_what_the_snapshot_holds_and_yields(project, comparison):
    # Train, K = 3. Alice: 0 > 1 > 2, three pairs. Bob: 1 > 0 = 2, two pairs and a tie.
    # Majority: 0-1 is one against one, 0-2 is one against a tie, so both are conflicts; 1-2 has both.
    judge(comparison, "alice", [[0], [1], [2]])
    judge(comparison, "bob", [[1], [0, 2]])
    # Eval, K = 2. Alice sees a tie: no pair.
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "alice", [[0, 1]])
    assert freeze_snapshot(project=project, name="june", kinds=[PERSON]).counts == {
        "judgments": 3,
        "comparisons": 2,
        "decisions": 0,
        "overruled": 0,
        "all_bad": 0,
        "edits": 0,
        "annotators": 2,
        "prompts": 2,
        "prompts_train": 1,
        "prompts_eval": 1,
        "held_out_elsewhere": 0,
        "pairs_train": 5,
        "pairs_eval": 0,
        "ties": 2,
        "unsafe": 0,
        "disputed": 0,
        "weak": 0,
        "majority_pairs_train": 1,
        "majority_pairs_eval": 0,
        "majority_ties": 1,
        "majority_conflicts": 2,
        "majority_unsafe": 0,
        "majority_disputed": 0,
        "majority_weak": 0,
        "by_kind": {"person": 3},
        "marks": {"safety": False, "aspects": [], "defects": False},
        "project": "Demo",
        "asked": asked_by(project),
        "guidelines": [[None, 3]],
        "left_out": {},
        "agreement": [],
    }


def test_later_judgments_and_revisions_change_nothing(project, comparison):
    first = judge(comparison, "alice", [[0], [1], [2]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    judge(comparison, "alice", [[2], [1], [0]], supersedes=first)
    judge(comparison, "bob", [[2], [1], [0]])
    snapshot.refresh_from_db()
    assert list(snapshot.judgments.all()) == [first]
    assert snapshot.counts["judgments"] == 1


def test_the_same_judgments_have_the_same_hash_and_a_correction_another(project, comparison):
    first = judge(comparison, "alice", [[0], [1], [2]])
    june = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    again = freeze_snapshot(project=project, name="june-again", kinds=[PERSON])
    wider = freeze_snapshot(project=project, name="june-wider", kinds=[PERSON, SIMULATED])  # another choice
    judge(comparison, "alice", [[2], [1], [0]], supersedes=first)
    july = freeze_snapshot(project=project, name="july", kinds=[PERSON])
    assert len(june.content_hash) == 64
    assert june.content_hash == again.content_hash
    assert len({each.content_hash for each in (june, wider, july)}) == 3


def test_the_hash_covers_the_strengths(project, comparison):
    first = judge(comparison, "alice", [[0, 1], [2]], ["better"])
    june = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    type(first).objects.filter(pk=first.pk).update(strengths=["significantly_better"])
    assert june.content_hash != freeze_snapshot(project=project, name="july", kinds=[PERSON]).content_hash


def as_frozen_before(snapshot):
    """The same as it would have been frozen by hash scheme 1, written out once more; its rows in another order."""
    digest = hashlib.sha256()
    judgments = snapshot.judgments.order_by("comparison_id", "pk").select_related("comparison__prompt")
    for comparison, group in groupby(judgments, key=lambda judgment: judgment.comparison):
        group = list(group)
        ranked = {pk for judgment in group for place in judgment.ranking for pk in place}
        completions = Completion.objects.filter(pk__in=ranked).order_by("pk")
        content = {
            "comparison": comparison.pk,
            "prompt": comparison.prompt_id,
            "split": comparison.prompt.split,
            "messages": comparison.prompt.messages,
            "texts": [[each.pk, each.text] for each in completions],
            "finish_reasons": [[each.pk, each.finish_reason] for each in completions],
            "judgments": [
                [j.pk, j.annotator_id, j.kind, j.ranking, j.strengths]
                + ([{"is_decision": True}] if j.is_decision else [])
                + ([{"marks": j.marks}] if j.marks else [])
                + ([{"all_bad": True}] if j.all_bad else [])
                for j in group
            ],
        }
        if edits := [[each.pk, each.edit_of_id] for each in completions if each.edit_of_id]:
            content["edits"] = edits
        digest.update(json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    ids = list(snapshot.judgments.order_by("-pk").values_list("pk", flat=True))
    snapshot.judgments.clear()
    for pk in ids:
        snapshot.judgments.add(pk)
    snapshot.settings, snapshot.hash_scheme, snapshot.content_hash = {}, 1, digest.hexdigest()
    snapshot.save()
    return snapshot


NEW = [
    {},
    {"is_decision": True},
    {"all_bad": True},
    {"marks": {0: {"safety": "unsafe"}}},
    {"edit": "Sugar and fruit.", "ranking": [[3], [0], [1], [2]]},
]


@pytest.mark.parametrize("new", NEW)
def test_a_snapshot_of_earlier_days_is_still_proved_by_its_hash(project, comparison, new):
    ranking = new.get("ranking", [[0], [1], [2]])
    more = {name: value for name, value in new.items() if name != "ranking"}
    judge(comparison, "alice", ranking, rationale="Clear.", seconds_spent=4.0, **more)
    judge(comparison, "bob", [[1], [0, 2]])
    judge(make_comparison(project, ["Größe\n", "No."], split="eval"), "alice", [[0, 1]])
    old = as_frozen_before(freeze_snapshot(project=project, name="june", kinds=[PERSON]))
    assert len(list(hashing.verified_comparisons(old))) == 2
    Completion.objects.filter(text="A traffic jam.").update(text="A traffic jam!")
    with pytest.raises(hashing.SnapshotChanged, match="changed in the database by hand"):
        list(hashing.verified_comparisons(old))


CHANGES = [
    (Judgment, {"is_decision": True}),
    (Judgment, {"all_bad": True}),
    (Judgment, {"marks": {"1": {"safety": "unsafe"}}}),
    (Judgment, {"kind": "model"}),
    (Judgment, {"rationale": "Changed."}),
    (Judgment, {"strengths": ["better", "slightly_better"]}),
    (Judgment, {"created_at": datetime(2026, 1, 1, tzinfo=UTC)}),
    (Completion, {"text": "Changed."}),
    (Completion, {"finish_reason": "length"}),
    (Prompt, {"metadata": {"language": "fr"}}),
    (Prompt, {"split": "eval"}),
    (Prompt, {"messages": []}),
]


@pytest.mark.parametrize(("model", "change"), CHANGES)
def test_the_hash_covers_everything_that_an_export_may_show(project, comparison, model, change):
    judge(comparison, "alice", [[0], [1], [2]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    assert len(list(hashing.verified_comparisons(snapshot))) == 1
    model.objects.update(**change)
    with pytest.raises(hashing.SnapshotChanged, match="changed in the database by hand"):
        list(hashing.verified_comparisons(snapshot))


def test_the_hash_covers_the_settings(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    snapshot.refresh_from_db()
    hashing.check_settings(snapshot)
    snapshot.settings["choice"]["agreement_threshold"] = 0.9
    with pytest.raises(hashing.SnapshotChanged):
        next(hashing.verified_comparisons(snapshot))


def test_a_snapshot_holds_work_alone(project, comparison):
    alices = judge(comparison, "alice", [[0], [1], [2]])
    for purpose in (Purpose.GOLD, Purpose.QUALIFICATION, Purpose.TRAINING):
        judge(known(make_comparison(project, ["Yes.", "No."]), purpose), "alice", [[0], [1]])
    withdrawn = make_comparison(project, ["Yes.", "No."])
    judge(withdrawn, "alice", [[0], [1]])
    type(withdrawn).objects.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now())
    assert available(choice_of(project, [PERSON])).judgments == 1
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    assert list(snapshot.judgments.all()) == [alices]
    assert snapshot.counts["left_out"] == {"gold": 1, "qualification": 1, "training": 1, "withdrawn": 1}


def test_what_was_given_as_gold_is_no_data_when_the_comparison_becomes_work_again(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    gold = known(make_comparison(project, ["Yes.", "No."]))
    judge(gold, "alice", [[0], [1]])
    type(gold).objects.filter(pk=gold.pk).update(purpose=Purpose.WORK)
    counts = freeze_snapshot(project=project, name="june", kinds=[PERSON]).counts
    assert (counts["judgments"], counts["left_out"]) == (1, {"gold": 1})


def test_what_is_withdrawn_later_stays_in_what_was_frozen(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[PERSON])
    type(comparison).objects.update(withdrawn_at=timezone.now())
    assert snapshot.judgments.count() == 1
    with pytest.raises(NothingToFreeze):
        freeze_snapshot(project=project, name="july", kinds=[PERSON])


def test_a_decision_counts_alone_and_what_it_overrules_is_on_record(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    judge(comparison, "bob", [[0], [1, 2]])
    judge(comparison, "rita", [[2], [0, 1]], is_decision=True)
    counts = freeze_snapshot(project=project, name="june", kinds=[PERSON]).counts
    # Rita's alone: 2 over 0 and 2 over 1, and a tie.
    assert (counts["judgments"], counts["decisions"], counts["overruled"]) == (3, 1, 2)
    assert (counts["pairs_train"], counts["ties"], counts["majority_pairs_train"]) == (2, 1, 2)


def test_a_persons_decision_is_in_no_snapshot_of_simulated_judgments(project, comparison):
    judge(comparison, "sim-brief", [[0], [1], [2]], kind=SIMULATED)
    judge(comparison, "rita", [[2], [1], [0]], is_decision=True)
    counts = freeze_snapshot(project=project, name="june", kinds=[SIMULATED]).counts
    assert (counts["judgments"], counts["decisions"], counts["pairs_train"]) == (1, 0, 3)


def test_the_guidelines_that_judgments_were_given_by_are_counted(project, comparison):
    first, second = (project.guidelines_versions.create(number=number, text="Be fair.") for number in (1, 2))
    judge(comparison, "alice", [[0], [1], [2]], guidelines_version=first)
    judge(comparison, "bob", [[0], [1], [2]], guidelines_version=second)
    judge(comparison, "charlie", [[0], [1], [2]], guidelines_version=second)
    assert freeze_snapshot(project=project, name="june", kinds=[PERSON]).counts["guidelines"] == [[1, 1], [2, 2]]


def test_a_repeated_request_freezes_once(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    key = uuid.uuid4()
    first = freeze_snapshot(project=project, name="june", kinds=[PERSON], request_key=key)
    judge(comparison, "bob", [[0], [1], [2]])
    assert freeze_snapshot(project=project, name="june", kinds=[PERSON], request_key=key) == first
    assert DatasetSnapshot.objects.count() == 1


def test_nothing_to_freeze_says_what_there_is_instead(project, comparison):
    judge(comparison, "sim-brief", [[0], [1], [2]], kind=SIMULATED)
    with pytest.raises(NothingToFreeze, match=r'"Demo" has no judgment by a person\. It has 1 by kind simulated'):
        freeze_snapshot(project=project, name="june", kinds=[PERSON])
    assert not DatasetSnapshot.objects.exists()


def test_a_project_without_any_judgment_says_to_annotate_first(project):
    with pytest.raises(NothingToFreeze, match="Annotate first"):
        freeze_snapshot(project=project, name="june", kinds=[PERSON])


@pytest.mark.parametrize(("kinds", "words"), [(["robot"], 'no kind of judge "robot"'), ([], "No kind of judge")])
def test_an_unknown_kind_or_none_is_refused(project, kinds, words):
    with pytest.raises(UnknownKind, match=words):
        freeze_snapshot(project=project, name="june", kinds=kinds)


def test_a_taken_name_is_refused_in_the_same_project_only(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    freeze_snapshot(project=project, name="june", kinds=[PERSON])
    with pytest.raises(NameTaken, match=r'already has a snapshot "june".*choose another name'):
        freeze_snapshot(project=project, name="june", kinds=[PERSON])
    other = make_project("Other")
    judge(make_comparison(other, ["Yes.", "No."]), "alice", [[0], [1]])
    assert freeze_snapshot(project=other, name="june", kinds=[PERSON]).name == "june"


@pytest.mark.parametrize("name", ["", "in june", "../june", "j" * 81])
def test_a_name_that_could_not_be_a_file_is_refused(project, comparison, name):
    judge(comparison, "alice", [[0], [1], [2]])
    with pytest.raises(BadName):
        freeze_snapshot(project=project, name=name, kinds=[PERSON])


def test_one_snapshot_per_project_and_name_is_held_by_the_database(project):
    DatasetSnapshot.objects.create(project=project, name="june")
    with pytest.raises(IntegrityError, match="one_snapshot_per_project_and_name"), transaction.atomic():
        DatasetSnapshot.objects.create(project=project, name="june")


def test_what_is_available_is_what_a_snapshot_would_hold(project, comparison):
    first = judge(comparison, "alice", [[0], [1], [2]])
    judge(comparison, "alice", [[2], [1], [0]], supersedes=first)
    judge(comparison, "bob", [[0], [1], [2]])
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "bob", [[0], [1]])
    found = available(choice_of(project, [PERSON]))
    assert (found.judgments, found.comparisons, found.annotators) == (3, 2, 2)
    assert (found.comparisons_train, found.comparisons_eval) == (1, 1)
    assert available(choice_of(project, [MODEL])).judgments == 0
    assert to_freeze(choice_of(project, [PERSON])).count() == found.judgments


def test_freezing_costs_no_query_more_for_more_judgments(project):
    costs = []
    for name in ("one", "thirty"):
        for number in range(1 if name == "one" else 29):
            comparison = make_comparison(project, ["Yes.", "No."], question=f"Question {number}?")
            judge(comparison, "alice", [[0], [1]])
            judge(comparison, "bob", [[0], [1]])
        with CaptureQueriesContext(connection) as queries:
            freeze_snapshot(project=project, name=name, kinds=[PERSON])
        costs.append(len(queries))
    assert costs[0] == costs[1] < 25


@pytest.mark.django_db(transaction=True)
def test_one_request_sent_four_times_at_once_freezes_once(project, comparison):
    judge(comparison, "alice", [[0], [1], [2]])
    key, together = uuid.uuid4(), Barrier(4)

    def freeze(_):
        try:
            together.wait(timeout=10)
            return freeze_snapshot(project=project, name="june", kinds=[PERSON], request_key=key).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        frozen = set(pool.map(freeze, range(4)))
    assert frozen == {DatasetSnapshot.objects.get().pk}
    assert DatasetSnapshot.objects.get().judgments.count() == 1
