"""The evaluation's completions as comparisons for people."""

import json
import threading

import pytest
from django.db import IntegrityError, connection, transaction

from annotation.models import Project, Role
from sampling.long_tasks import TaskState
from sampling.models import Completion, SamplingRun
from tests.training.evaluation.evaluated import make_evaluated, make_evaluated_on, make_prompts, next_round, said
from training.evaluation.blind_tests import (
    BlindTestRefused,
    is_being_judged,
    open_blind_test,
    opponents_of,
    shown,
)
from training.models import BlindTest, Stage, StageState


def opened(round, alice, **how):
    return open_blind_test(round=round, opponent=how.pop("opponent", round.base_policy), created_by=alice, **how)


def test_each_prompt_that_was_answered_differently_becomes_a_comparison_of_the_first_completions(
    evaluated, prompts, alice
):
    test = opened(evaluated, alice)
    comparisons = list(test.project.comparisons.order_by("prompt"))
    assert [comparison.prompt for comparison in comparisons] == prompts[:5]  # of the sixth both say the same
    for number, comparison in enumerate(comparisons):
        said = {each.model_version: each.text for each in comparison.completions.all()}
        assert said == {
            evaluated.policy: f"The new one says {number}.",
            evaluated.base_policy: f"The old one says {number}.",
        }


def test_the_completions_are_those_of_a_finished_run_that_says_how_they_were_written(evaluated, alice):
    (run,) = opened(evaluated, alice).sampling_runs.all()
    assert (run.state, run.done, run.total, run.n, run.split) == (TaskState.FINISHED, 12, 12, 1, "eval")
    assert (run.temperature, run.top_p, run.max_tokens, run.seed) == (0.7, 0.95, 64, 17)
    assert set(run.policies.all()) == {evaluated.policy, evaluated.base_policy}
    assert run.finished_at is not None
    assert set(run.completions.values_list("index", "tokens", "finish_reason")) == {(0, 5, "stop"), (0, 4, "stop")}


def test_the_project_asks_for_one_of_two_with_ties_and_says_what_to_do(evaluated, alice):
    project = opened(evaluated, alice, overlap=3).project
    assert (project.name, project.completions_per_comparison, project.allow_ties) == ("Blind test 1", 2, True)
    assert "which answer **you** would rather" in project.guidelines
    assert project.overlap == 3
    assert project.comparisons.first().slots.count() == 3
    assert project.memberships.get().role == Role.MANAGER


def test_nothing_that_annotators_read_tells_the_policies_apart_or_which_round_it_is(evaluated, alice):
    project = opened(evaluated, alice).project
    for name in ("policy-0", "r1"):
        assert name not in project.name + project.slug + project.guidelines


def test_asked_twice_it_is_opened_once(evaluated, alice):
    assert opened(evaluated, alice) == opened(evaluated, alice)
    assert (BlindTest.objects.count(), SamplingRun.objects.filter(name="Evaluation of r1").count()) == (1, 1)
    assert Project.objects.filter(name__startswith="Blind test").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_opens_one(evaluated, alice):
    found, errors = [], []

    def click():
        try:
            found.append(opened(evaluated, alice).pk)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert errors == []
    assert len(set(found)) == 1
    assert Completion.objects.filter(run__name="Evaluation of r1").count() == 12


def test_one_blind_test_per_round_and_opponent(evaluated, alice):
    opened(evaluated, alice)
    other = Project.objects.create(name="Another", slug="another")
    with pytest.raises(IntegrityError, match="one_blind_test_per_round_and_opponent"), transaction.atomic():
        BlindTest.objects.create(round=evaluated, opponent=evaluated.base_policy, project=other)


def test_so_many_prompts_are_drawn_and_always_the_same(tmp_path, evaluated, prompts, alice):
    first = opened(evaluated, alice, prompts=3)
    drawn = set(first.sampling_runs.get().completions.values_list("prompt", flat=True))
    assert len(drawn) == 3
    answers = {side: {prompt: f"{side} {prompt.pk}" for prompt in prompts} for side in ("new", "old")}
    later = opened(next_round(tmp_path, evaluated, answers), alice, prompts=3)
    assert {comparison.prompt_id for comparison in later.project.comparisons.all()} == drawn  # the same seed


def shown_on_the_page(round, prompts, *, opponent="old"):
    """As the evaluation leaves them: the round's page shows the first four."""
    rows = [
        {"prompt": prompt.messages, "prompt_id": str(prompt.pk), "opponent": opponent, "index": 0} for prompt in prompts
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (round.stages.get().run_dir / "judged.jsonl").write_text(lines, encoding="utf-8")


def asked(test):
    return {comparison.prompt for comparison in test.project.comparisons.all()}


def test_prompts_whose_answers_the_rounds_page_showed_are_left_out(tmp_path, snapshot, alice):
    prompts = make_prompts(15)
    round = make_evaluated_on(prompts, tmp_path, snapshot)
    shown_on_the_page(round, prompts)
    assert asked(opened(round, alice)) == set(prompts[4:14])  # of the last both say the same


def test_with_too_few_others_the_prompts_that_were_shown_are_asked_too_after_them(tmp_path, snapshot, alice):
    prompts = make_prompts(13)
    round = make_evaluated_on(prompts, tmp_path, snapshot)
    shown_on_the_page(round, prompts)
    assert asked(opened(round, alice, prompts=9)) <= set(prompts[4:])  # nine of the nine that were not shown
    again = make_evaluated_on(prompts, tmp_path, snapshot, name="again", base_policy=round.base_policy)
    shown_on_the_page(again, prompts)
    assert asked(opened(again, alice)) == set(prompts[:12])


def test_a_round_is_being_judged_until_the_last_judgment_is_given(evaluated, alice):
    assert not is_being_judged(evaluated)
    test = opened(evaluated, alice)
    for number in range(5):
        assert is_being_judged(evaluated)
        assert shown(evaluated)["blind_unfinished"]
        said(test, number, "bob", "new")
    assert not is_being_judged(evaluated)
    assert not shown(evaluated)["blind_unfinished"]


def test_the_base_can_be_met_too_where_it_is_another_policy(tmp_path, evaluated, prompts, alice):
    answers = {side: {prompt: f"{side} {prompt.pk}" for prompt in prompts} for side in ("new", "old", "base")}
    round = next_round(tmp_path, evaluated, answers)
    old, base = evaluated.policy, evaluated.base_policy
    assert opponents_of(round) == [old, base]
    opened(round, alice, opponent=old)
    test = opened(round, alice, opponent=base)
    assert test.project.name == "Blind test 2"
    texts = set(test.project.comparisons.values_list("completions__text", flat=True))
    assert texts == {f"{side} {prompt.pk}" for side in ("new", "base") for prompt in prompts}
    assert [row["test"].opponent for row in shown(round)["blind_tests"]] == [old, base]
    assert shown(round)["blind_opponents"] == []


def test_each_prompt_set_has_a_run_of_its_own(tmp_path, snapshot, prompts, alice):
    others = make_prompts(2, prompt_set="Riddles")
    answers = {side: {prompt: f"{side} {prompt.pk}" for prompt in [*prompts, *others]} for side in ("new", "old")}
    test = opened(make_evaluated(tmp_path, snapshot, answers), alice)
    by_set = {run.prompt_set.name: run.completions.count() for run in test.sampling_runs.all()}
    assert by_set == {"Questions": 12, "Riddles": 4}
    assert test.project.comparisons.count() == 8


def test_a_prompt_that_only_one_policy_answered_is_left_out(tmp_path, snapshot, prompts, alice):
    answers = {"new": dict.fromkeys(prompts, "new"), "old": dict.fromkeys(prompts[:2], "old")}
    assert opened(make_evaluated(tmp_path, snapshot, answers), alice).project.comparisons.count() == 2


def test_a_round_without_a_finished_evaluation_has_nobody_to_meet(evaluated, alice):
    Stage.objects.update(state=StageState.FAILED)
    assert opponents_of(evaluated) == []
    with pytest.raises(BlindTestRefused, match="Wait until its evaluation has finished"):
        opened(evaluated, alice)
    assert not Project.objects.filter(name__startswith="Blind test").exists()


def test_a_policy_that_the_evaluation_did_not_compare_is_refused(evaluated, alice):
    with pytest.raises(BlindTestRefused, match=r'of its new policy and of "r1-dpo" side by side'):
        opened(evaluated, alice, opponent=evaluated.policy)


def test_a_torn_file_is_refused_with_a_remedy_and_leaves_nothing_behind(evaluated, alice):
    path = evaluated.stages.get().run_dir / "completions_new.jsonl"
    path.write_text('{"prompt_id": "x", "index": 0}\n')
    with pytest.raises(BlindTestRefused, match=r"completions_new.jsonl of the evaluation cannot be read"):
        opened(evaluated, alice)
    assert not Project.objects.filter(name__startswith="Blind test").exists()
