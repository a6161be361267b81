import pytest

from annotation.models import JudgeKind, Judgment
from sampling.models import Completion, ModelVersion, Origin, Prompt, PromptSet, Split
from tests.annotation.judged import make_user
from training.lineage.graph import Graph, Source
from training.lineage.judgments import (
    as_rows,
    completions_of,
    judgments_of,
    learned_from_annotator,
    learned_from_judgment,
    learned_from_prompt,
)
from training.models import StageKind


def told(found):
    return {each.version.name: each.how for each in found}


def of_split(snapshot, split):
    return Judgment.objects.filter(snapshots=snapshot, comparison__prompt__split=split)


def test_a_policy_rests_on_the_train_judgments_and_their_completions(first):
    found = judgments_of(Graph().sources_of(first.policy_id))
    assert set(found) == set(of_split(first.snapshot, Split.TRAIN))
    assert completions_of(found).count() == 32  # 16 comparisons of two


def test_where_only_people_count_no_simulated_judgment_is_behind_it(first):
    assert not judgments_of([Source(first.snapshot_id, Split.TRAIN, "people")]).exists()
    of_people = of_split(first.snapshot, Split.TRAIN).first()
    Judgment.objects.filter(pk=of_people.pk).update(kind=JudgeKind.PERSON)
    assert list(judgments_of([Source(first.snapshot_id, Split.TRAIN, "people")])) == [of_people]


def test_a_row_tells_the_judgment_its_ranking_and_every_completion_by_a_pseudonym(first):
    row = next(as_rows(judgments_of(Graph().sources_of(first.policy_id))))
    judgment = Judgment.objects.get(pk=row["judgment"])
    assert row["ranking"] == judgment.ranking
    assert {each["completion"] for each in row["completions"]} == set(
        judgment.comparison.completions.values_list("pk", flat=True)
    )
    assert row["annotator"].startswith("annotator-")


def test_from_a_judgment_one_comes_to_every_version_that_learned_from_it(second):
    judgment = of_split(second.previous.snapshot, Split.TRAIN).first()
    assert told(learned_from_judgment(judgment)) == {
        "r1-reward": "reward model",
        "r1-dpo": "DPO",
        "r1-sft": "came of it",
        "r2-reward": "came of it",
        "r2-judge": "came of it",  # it started from r1-dpo
        "r2-sft": "came of it",
        "r2-dpo": "came of it",
    }
    assert told(learned_from_judgment(of_split(second.snapshot, Split.TRAIN).first())) == {
        "r2-reward": "reward model",
        "r2-dpo": "DPO",
        "r2-sft": "came of it",
    }


def test_the_judge_model_alone_learned_from_a_judgment_on_a_held_out_prompt(first):
    held_out = of_split(first.snapshot, Split.EVAL).first()
    assert told(learned_from_judgment(held_out)) == {"r1-judge": "judge model"}
    assert "r1-judge" not in told(learned_from_judgment(of_split(first.snapshot, Split.TRAIN).first()))


def test_nothing_learned_from_a_judgment_on_a_held_out_prompt_where_no_judge_model_was_trained(first):
    first.stages.filter(kind=StageKind.JUDGE_MODEL).delete()
    assert learned_from_judgment(of_split(first.snapshot, Split.EVAL).first()) == []


def test_from_an_annotator_and_from_a_prompt_too(first):
    judgment = of_split(first.snapshot, Split.TRAIN).first()
    # The annotator judged held-out prompts too, from which the judge model learned.
    by_annotator = set(told(learned_from_annotator(judgment.annotator)))
    assert by_annotator == {"r1-reward", "r1-judge", "r1-dpo", "r1-sft"}
    assert set(told(learned_from_prompt(judgment.comparison.prompt))) == {"r1-reward", "r1-dpo", "r1-sft"}
    assert learned_from_annotator(make_user("nobody")) == []


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_prompt_without_judgments_was_learned_from_where_its_completion_was_kept(first, is_kept):
    judged = Prompt.objects.filter(comparisons__judgments__snapshots=first.snapshot).first()
    prompt = Prompt.objects.create(
        prompt_set=judged.prompt_set,
        split=Split.TRAIN,
        messages=[{"role": "user", "content": "New?"}],
        content_hash="n",
    )
    kept = first.stages.get(kind=StageKind.REJECTION_SAMPLING).run_dir / "kept.jsonl"
    kept.write_text(f'{{"prompt_id": "{prompt.pk if is_kept else 0}"}}\n')
    expected = {"r1-sft": "fine-tuned on a kept completion", "r1-dpo": "came of it"}
    assert told(learned_from_prompt(prompt)) == (expected if is_kept else {})


def test_a_kept_completion_of_a_prompt_whose_set_only_another_round_has_is_found_too(second):
    prompt = Prompt.objects.create(
        prompt_set=PromptSet.objects.create(name="Of another round"),
        split=Split.TRAIN,
        messages=[{"role": "user", "content": "Pooled?"}],
        content_hash="p",
    )
    kept = second.stages.get(kind=StageKind.REJECTION_SAMPLING).run_dir / "kept.jsonl"
    kept.write_text(f'{{"prompt_id": "{prompt.pk}"}}\n')
    assert told(learned_from_prompt(prompt)) == {
        "r2-sft": "fine-tuned on a kept completion",
        "r2-dpo": "came of it",
    }


def test_what_a_person_wrote_is_among_the_completions_behind_a_version(first):
    judgment = of_split(first.snapshot, Split.TRAIN).first()
    edited, judge = judgment.comparison.completions.first(), judgment.annotator
    edit = Completion.objects.create(
        origin=Origin.PERSON, prompt=judgment.comparison.prompt, edit_of=edited, written_by=judge, text="Better."
    )
    judgment.ranking = [[edit.pk], *judgment.ranking]
    judgment.save(update_fields=["ranking"])
    found = judgments_of(Graph().sources_of(first.policy_id))
    assert completions_of(found).count() == 33
    (row,) = [row for row in as_rows(found) if row["judgment"] == judgment.pk]
    (told_of,) = [each for each in row["completions"] if each["completion"] == edit.pk]
    assert (told_of["origin"], told_of["edit_of"]) == ("person", edited.pk)


def test_a_round_of_before_stages_kept_what_they_were_told_is_traced_all_the_same(first):
    first.stages.update(told={})
    graph = Graph()
    made = graph.made[ModelVersion.objects.get(name="r1-sft").pk]
    origins = [(each.how, graph.made[each.version_id].version.name) for each in made.origins]
    assert origins == [("started from", "base"), ("candidates by", "base"), ("chosen by", "r1-reward")]


def test_what_was_never_frozen_nobody_learned_from(first):
    judgment = of_split(first.snapshot, Split.TRAIN).first()
    judgment.snapshots.clear()
    assert learned_from_judgment(judgment) == []
    assert ModelVersion.objects.filter(name="r1-dpo").exists()
