import json

import pytest
from django.urls import reverse

from annotation.models import Judgment
from sampling.models import ModelVersion, Split

PAGES = ["lineage", "model_card", "lineage_json", "lineage_judgments", "lineage_judgments_file"]


def address(name, version):
    return reverse(f"training:{name}", args=[version.pk])


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def test_the_page_shows_every_step_with_its_recipe_seed_and_snapshot(staff, second):
    page = staff.get(address("lineage", second.policy)).content.decode()
    for words in ("r2-dpo", "r1-reward", "chosen by", "seed 17", "july", "june", "It rests on", "32 judgments"):
        assert words.lower() in page.lower(), words


def test_the_page_of_an_imported_version_says_that_no_judgment_is_behind_it(staff, policy):
    page = staff.get(address("lineage", policy)).content.decode()
    assert "No judgment is known to be behind it" in page


def test_the_json_tells_recipes_seeds_hashes_and_provenance(staff, first):
    stage = first.stages.get(kind="dpo")
    stage.provenance = {"code": {"commit": "abc"}, "libraries": {"torch": "2.13.0"}, "not_deterministic": []}
    stage.save(update_fields=["provenance"])
    found = staff.get(address("lineage_json", first.policy)).json()
    (step, *others) = found["steps"]
    assert step["made_by"]["values"] == first.recipe["dpo"]
    assert (step["made_by"]["seed"], step["made_by"]["provenance"]["code"]["commit"]) == (17, "abc")
    assert step["judgments"][0]["content_hash"] == first.snapshot.content_hash
    assert found["judgments"]["judgments"] == 16
    assert {each["version"]["name"] for each in others} == {"r1-sft", "r1-reward", "base"}


def test_each_judgment_is_listed_and_streamed_as_json_lines(staff, first):
    page = staff.get(address("lineage_judgments", first.policy)).content.decode()
    assert page.count("sim-brief") == 16
    answer = staff.get(address("lineage_judgments_file", first.policy))
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    expected = Judgment.objects.filter(snapshots=first.snapshot, comparison__prompt__split=Split.TRAIN)
    assert {row["judgment"] for row in rows} == set(expected.values_list("pk", flat=True))


@pytest.mark.parametrize("what", ["judgment", "annotator", "prompt"])
def test_the_way_back_is_a_page_and_json(staff, first, what):
    judgment = Judgment.objects.filter(snapshots=first.snapshot, comparison__prompt__split=Split.TRAIN).first()
    pks = {"judgment": judgment.pk, "annotator": judgment.annotator_id, "prompt": judgment.comparison.prompt_id}
    back = reverse("training:learned_from", args=[what, pks[what]])
    assert "r1-dpo" in staff.get(back).content.decode()
    versions = staff.get(back, {"format": "json"}).json()["versions"]
    judged_held_out_prompts_too = {"r1-judge"} if what == "annotator" else set()
    assert {each["version"] for each in versions} == {"r1-reward", "r1-sft", "r1-dpo"} | judged_held_out_prompts_too


def test_what_nobody_learned_from_says_what_to_do(staff, alice):
    page = staff.get(reverse("training:learned_from", args=["annotator", alice.pk])).content.decode()
    assert "Nothing learned from it yet" in page
    assert staff.get(reverse("training:learned_from", args=["weather", 1])).status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_lineage_is_for_staff_and_only_read(client, bob, policy, name):
    assert client.get(address(name, policy)).status_code == 302
    client.force_login(bob)
    assert client.get(address(name, policy)).status_code == 403


def test_no_page_is_posted_to(staff, policy):
    assert staff.post(address("lineage", policy)).status_code == 405


def test_the_models_page_links_to_its_lineage(staff, policy):
    assert address("lineage", policy) in staff.get(policy.get_absolute_url()).content.decode()


def test_a_version_that_is_not_there_is_404(staff):
    assert staff.get(reverse("training:lineage", args=[ModelVersion.objects.count() + 999])).status_code == 404
