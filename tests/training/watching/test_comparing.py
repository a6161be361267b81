"""Rounds side by side."""

import pytest
from django.urls import reverse

from tests.training.evaluation.evaluated import make_evaluated_on, make_prompts, said
from tests.training.watching import written
from training.evaluation.blind_tests import open_blind_test
from training.watching import comparing

pytestmark = pytest.mark.django_db
COMPARED = reverse("training:rounds_compared")


@pytest.fixture
def two(launch, made):
    """Two finished rounds: the second has no DPO, and another temperature."""
    first = launch("r1", changes={"dpo": {"rounds": ""}})
    second = launch("r2", changes={"sft": {"learning_rate": 5e-5}})
    written.finish_round(first, made("r1-dpo"), new="Fruit, boiled.")
    written.finish_round(second, made("r2-sft"), new="Sugar.")
    return [first, second]


def asked(client, rounds, **more):
    return client.get(COMPARED, {"round": [round.pk for round in rounds], **more})


def test_only_differences_are_shown_first_and_all_values_on_demand(two):
    settings = comparing.settings_of(two)
    different = [(each.section, each.key, list(each.values)) for each in settings if each.differs]
    assert different == [
        ("DPO", "runs", ["yes", "no"]),
        ("SFT on what was kept", "learning_rate", ["0.0001", "5e-05"]),
    ]
    beta = next(each for each in settings if each.key == "beta")
    assert (beta.section, list(beta.values), beta.differs) == ("DPO", ["0.1", None], False)


def test_the_page_shows_settings_results_curves_and_the_same_prompts(staff, two):
    html = asked(staff, two, stage="sft").content.decode()
    for words in ("5e-05", "Win rate over the old policy", "64.0 % (55.0 to 73.0)", "<polyline", "Sugar. (0)"):
        assert words in html
    assert "Fruit, boiled. (0)" in html
    assert "Name a &lt;b&gt;bold&lt;/b&gt; colour." in html
    assert html.count("<polyline") % 2 == 0


def test_what_people_say_stands_beside_what_judges_say(staff, snapshot, alice, tmp_path):
    prompts = make_prompts(6)
    first = make_evaluated_on(prompts, tmp_path / "r1", snapshot)
    second = make_evaluated_on(prompts, tmp_path / "r2", snapshot, name="r2", base_policy=first.base_policy)
    rounds = [first, second]
    test = open_blind_test(round=second, opponent=second.base_policy, created_by=alice)
    for number, preferred in enumerate(["new", "new", "new", "old", "new"]):
        said(test, number, "bob", preferred)
    drawn = {each.title: each.rows for each in comparing.outcomes_of(rounds)}
    nobody, people = drawn["Win rate over the old policy, by people"]
    assert nobody.words == "not measured"
    # Four wins, a loss and a tie, of the prompt to which both say the same: 4.5 / 6.
    assert people.words.startswith("75.0 % (")
    assert "Win rate over the old policy, by people" in asked(staff, rounds).content.decode()


def test_a_round_without_the_stage_keeps_its_colour_for_others(two):
    loss = next(chart for chart in comparing.curves_of(two[::-1], "dpo") if chart.title == "Loss: train")
    assert [(line.label, line.colour) for line in loss.lines] == [("r1", 2)]


def test_the_stage_that_most_rounds_have_is_shown_first(staff, two):
    assert comparing.stages_with_curves(two) == {"reward_model": 2, "sft": 2, "dpo": 1}
    assert asked(staff, two).context["shown"] == "sft"
    assert asked(staff, two, stage="dpo").context["shown"] == "dpo"


def test_a_prompt_that_only_one_was_asked_is_left_out(two):
    evaluation = two[1].stages.get(kind="evaluate")
    written.lines(evaluation.run_dir / "judged.jsonl", written.judged_rows("Sugar.")[1:3])
    samples = comparing.samples_of(two)
    assert [sample.prompt for sample in samples] == written.PROMPTS[1:3]
    assert list(samples[0].answers) == ["Fruit, boiled. (1)", "Sugar. (1)"]


@pytest.mark.parametrize(("number", "words"), [(0, "at least two"), (1, "at least two"), (7, "at most 6")])
def test_fewer_than_two_and_more_than_six_are_refused_with_the_way_back(staff, launch, number, words):
    rounds = [launch(f"r{each}") for each in range(number)]
    response = asked(staff, rounds)
    assert response.status_code == 422
    assert f"Choose {words} rounds" in response.content.decode()


@pytest.mark.parametrize("pk", ["x", "-1", "9" * 40, "999"])
def test_nonsense_chooses_nothing(staff, two, pk):
    assert staff.get(COMPARED, {"round": [two[0].pk, pk]}).status_code == 422


def test_rounds_that_have_not_run_can_be_compared_too(staff, launch):
    response = asked(staff, [launch("r1"), launch("r2")])
    assert response.status_code == 200
    html = response.content.decode()
    assert "Their recipes say the same." in html
    assert '<th scope="row">seed</th>' not in html  # what both started from is no difference


def test_queries_do_not_grow_with_the_rounds(staff, launch, django_assert_max_num_queries):
    rounds = [launch(f"r{each}") for each in range(6)]
    with django_assert_max_num_queries(8):
        asked(staff, rounds)


def test_the_list_leads_there_and_only_staff_may(client, staff, two, bob):
    html = staff.get(reverse("training:rounds")).content.decode()
    assert f'action="{COMPARED}"' in html
    assert html.count('type="checkbox"') == 2
    client.force_login(bob)
    assert asked(client, two).status_code == 403
