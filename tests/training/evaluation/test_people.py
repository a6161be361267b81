"""People's verdict beside the judges': on the round's page, in the model card, in the lineage's JSON."""

import json

import pytest
from django.urls import reverse

from tests.annotation.judged import make_user
from tests.training.evaluation.evaluated import make_prompts, said
from training.evaluation import people
from training.evaluation.blind_tests import open_blind_test
from training.lineage.card import card_of
from training.models import StageKind, StageState, TrainingRound

HIDDEN, LABELLED = "Hidden until people have finished the blind test", "<h3>New"


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def prompts(db):
    """Six that both answered differently and one that they answered alike: enough for an interval below one half."""
    return make_prompts(7)


@pytest.fixture
def round(evaluated, prompts):
    """Judged by simulated annotators, and passed by a gate that asks for one thing."""
    stage = evaluated.stages.get()
    stage.result = {
        "judge": "simulated", "win_rate": 0.736, "win_rate_low": 0.6, "win_rate_high": 0.84, "mean_tokens_new": 12.0,
        "mean_tokens_old": 10.0, "matches": [],
    }  # fmt: skip
    stage.save(update_fields=["result"])
    row = {"prompt": prompts[0].messages, "prompt_id": str(prompts[0].pk), "old": "Old words.", "new": "New words."}
    (stage.run_dir / "judged.jsonl").write_text(json.dumps(row) + "\n")
    condition = {"name": "min_win_rate", "words": "win rate", "value": 0.736, "relation": ">=", "threshold": 0.5}
    report = {
        "passed": True,
        "reason": "Published: every condition holds.",
        "conditions": [condition | {"passed": True}],
    }
    recipe = evaluated.recipe | {"gate": {"min_win_rate": 0.5}}
    TrainingRound.objects.filter(pk=evaluated.pk).update(gate_report=report, recipe=recipe)
    return TrainingRound.objects.get(pk=evaluated.pk)


@pytest.fixture
def test(round):
    opener = make_user("opener", is_staff=True)
    return open_blind_test(round=round, opponent=round.base_policy, created_by=opener)


def judged(test, *verdicts):
    for number, verdict in enumerate(verdicts):
        said(test, number, "bob", verdict)


def html_of(staff, url):
    return " ".join(staff.get(url).content.decode().split())


def test_a_test_that_nobody_has_judged_is_no_match_and_json_says_so(test):
    assert people.matches(test.round) == []
    (told,) = people.as_json(test.round)
    assert (told["opponent"], told["project"], told["prompts"], told["judged"]) == ("policy-0", "Blind test 1", 7, 0)
    assert told["win_rate"] is None


def test_what_people_said_has_the_shape_of_a_match(test):
    judged(test, "new", "old", "old", "old", "old")
    (match,) = people.matches(test.round)
    assert [match[name] for name in ("opponent", "name", "judge", "independent")] == ["old", "policy-0", "people", True]
    assert (match["wins"], match["ties"], match["losses"]) == (1, 1, 4)
    assert match["win_rate"] == pytest.approx(1.5 / 6)  # five judged, and the one that is alike: a tie
    assert match["prompts"] == 5
    # "The new one says 0." six times and "They agree on this." once, which has four words.
    assert match["mean_tokens_new"] == pytest.approx((6 * 5 + 4) / 7)


def test_the_base_is_called_so(test):
    judged(test, "new")
    test.round.base_policy = test.round.policy
    assert people.matches(test.round)[0]["opponent"] == "base"


def test_the_evaluation_shows_people_beside_the_judges(staff, test):
    judged(test, "new", "old", "old")
    html = html_of(staff, test.round.get_absolute_url() + "?stage=evaluate")
    assert "<td > people (blind test) </td>" in html
    assert "people (blind test), independent, 3 prompts" in html


def test_the_gate_says_who_judged_and_what_people_say_and_what_is_not_asked(staff, test):
    judged(test, "new", "old", "old")
    html = html_of(staff, test.round.get_absolute_url())
    assert "the simulated annotators" in html
    assert "the first judge" not in html
    assert "over the old policy, judged by the simulated annotators <code" in html  # what people say is not asked for
    assert "3 prompts, for information" in html
    assert "6 more are not asked." in html
    assert '<code class="small">max_length_ratio</code> </td> <td class="num" data-label="Value">1.200</td>' in html
    assert "notice-ok" in html  # two of three say nothing for sure


def test_people_who_say_the_opposite_are_a_warning_that_the_gate_leads_to(staff, test):
    judged(test, *["old"] * 6)
    html = html_of(staff, test.round.get_absolute_url())
    assert "People prefer the old policy, and the first judge does not" in html
    assert 'Published, with <a href="#worth-a-look">1 warning</a>: every condition that the recipe asks holds.' in html
    assert "notice-ok" not in html


def test_the_list_says_whose_win_rate_it_is(staff, round):
    html = html_of(staff, reverse("training:rounds"))
    assert '73.6 % (60.0 to 84.0) <span class="muted small rounds-after">simulated annotators</span>' in html


@pytest.mark.parametrize("url", ["round", "compared"])
def test_labelled_answers_are_hidden_until_people_are_done(staff, test, url):
    url = {
        "round": test.round.get_absolute_url() + "?",
        "compared": f"{reverse('training:rounds_compared')}?round={test.round_id}&round={twin_of(test.round).pk}",
    }[url]
    html = html_of(staff, url)
    assert HIDDEN in html
    assert "New words." not in html
    html = html_of(staff, url + "&answers=1")
    assert HIDDEN not in html
    assert "New words." in html
    judged(test, *["new"] * 6)
    html = html_of(staff, url)
    assert HIDDEN not in html
    assert "New words." in html


def twin_of(round):
    """Another round that answered the same."""
    stage = round.stages.get()
    twin = TrainingRound.objects.create(
        name="r1 again", base_policy=round.base_policy, snapshot=round.snapshot, recipe=round.recipe, state=round.state,
        finished_at=round.finished_at,
    )  # fmt: skip
    made = twin.stages.create(
        kind=StageKind.EVALUATE, position=1, state=stage.state, started_at=stage.started_at,
        finished_at=stage.finished_at, result=stage.result,
    )  # fmt: skip
    made.run_dir.mkdir(parents=True)
    (made.run_dir / "judged.jsonl").write_bytes((stage.run_dir / "judged.jsonl").read_bytes())
    return twin


def test_the_model_card_and_the_lineage_tell_what_people_said(staff, test):
    judged(test, *["old"] * 6)
    policy = test.round.policy
    test.round.stages.create(kind=StageKind.DPO, position=2, state=StageState.FINISHED, model_version=policy)
    # Six losses and a tie: 0.5 / 7
    assert "| policy-0 (old) | people (blind test), 6 prompts | 7.1 %" in card_of(policy)
    told = staff.get(reverse("training:lineage_json", args=[policy.pk])).json()
    assert [(each["opponent"], each["losses"]) for each in told["people"]] == [("policy-0", 6)]
    told = staff.get(reverse("training:lineage_json", args=[test.round.base_policy_id])).json()
    assert told["people"] == []
