from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from django.urls import reverse

from annotation.actions.withdrawals import withdraw_work
from sampling.models import ModelVersion
from training.launching import launch_checks
from training.lineage.card import card_of, write_card
from training.lineage.description import as_json, lineage_of


def parts(card):
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_rounds_models_have_a_card_beside_their_weights(first):
    for name in ("r1-reward", "r1-sft", "r1-dpo"):
        version = ModelVersion.objects.get(name=name)
        card = (Path(version.location) / "README.md").read_text()
        front, text = parts(card)
        assert front["whetstone_weights"] == version.content_hash
        assert front["base_model"] == ["base"]
        assert first.snapshot.content_hash[:12] in text


def test_the_policys_card_tells_the_gate(first):
    _, text = parts((Path(first.policy.location) / "README.md").read_text())
    assert "Published: every condition holds." in text
    assert "lower end of the 95 % interval of the win rate" in text


def test_a_reward_model_is_called_what_it_is(first):
    front, _ = parts(card_of(ModelVersion.objects.get(name="r1-reward")))
    assert front["pipeline_tag"] == "text-classification"


def test_a_name_that_yaml_would_misread_stays_a_name(policy):
    policy.name = "on: #1"
    policy.save()
    front, _ = parts(card_of(policy))
    assert front["model_name"] == "on: #1"


@pytest.mark.parametrize("location", ["org/name", "/nowhere/at/all"])
def test_no_card_is_written_where_there_is_no_directory_of_ours(policy, location):
    policy.location = location
    policy.save()
    write_card(policy)
    assert not Path(location).exists()


def test_the_policys_card_tells_who_it_met_and_what_was_forgotten(first):
    evaluation, harness = first.stages.get(kind="evaluate"), first.stages.get(kind="harness")
    match = {
        "opponent": "old", "name": "base", "judge": "simulated", "independent": True, "win_rate": 0.7, "low": 0.6,
        "high": 0.8, "length_controlled_win_rate": None, "mean_tokens_new": 50.0, "mean_tokens_opponent": 55.0,
    }  # fmt: skip
    evaluation.result |= {"matches": [match, match | {"judge": "reward_selector", "independent": False}]}
    evaluation.save(update_fields=["result"])
    harness.result |= {"perplexity_new": 20.0, "perplexity_old": 18.0}
    harness.save(update_fields=["result"])
    _, text = parts(card_of(first.policy))
    assert "| base (old) | simulated | 70.0 % (60.0 to 80.0) | not measured | 50.0 against 55.0 |" in text
    assert "reward_selector, not independent" in text
    assert "20.00 to 18.00" in text


def test_the_card_tells_what_was_changed_in_the_recipe(first):
    first.changes = {"dpo": {"beta": 0.2}}
    first.save(update_fields=["changes"])
    assert "Changed from the recipe's file" in card_of(first.policy)


def test_what_learned_from_withdrawn_work_says_so_everywhere(first, client, alice):
    version = first.policy
    annotator = first.snapshot.judgments.order_by("pk").first().annotator
    theirs = lineage_of(version).judgments.filter(annotator=annotator).count()
    assert "withdrawn" not in card_of(version)
    assert as_json(lineage_of(version))["withdrawn"] is None
    withdraw_work(annotator=annotator, reason="Asked for.", by=alice)
    assert as_json(lineage_of(version))["withdrawn"] == {"judgments": theirs, "annotators": 1}
    assert "learned from work that has been withdrawn since" in card_of(version)
    client.force_login(alice)
    for address in (version.get_absolute_url(), reverse("training:lineage", args=[version.pk])):
        assert "learned from work that has been withdrawn since" in client.get(address).content.decode()
    assert as_json(lineage_of(version))["has_withdrawn"] is True
    assert "holds withdrawn work" in client.get(reverse("training:round_new")).content.decode()
    assert "holds withdrawn work" in client.get(reverse("training:rounds")).content.decode()
    assert "holds work that has been withdrawn since" in client.get(first.get_absolute_url()).content.decode()
    rows = client.get(reverse("training-api:round-list")).json()["results"]
    assert [row["has_withdrawn"] for row in rows] == [True]
    assert client.get(reverse("training-api:round-detail", args=[first.pk])).json()["has_withdrawn"] is True
    models = client.get(reverse("sampling:models")).content.decode()
    # What the round made from its judgments; not the policy that it began with.
    assert models.count("learned from withdrawn work") == ModelVersion.objects.filter(name__startswith="r1-").count()
    warned = launch_checks.warnings_of(SimpleNamespace(previous=None, snapshot=first.snapshot))
    assert "withdrawn their work since" in warned[0]
