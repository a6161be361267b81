import pytest

from sampling.models import ModelVersion
from tests.training.rounds import RECIPE
from training import actions
from training.lineage.graph import Graph
from training.lineage.repeats import not_deterministic, repeats_of
from training.models import Stage


@pytest.fixture
def again(first):
    launched = actions.launch_round(
        name="again", base_policy=first.base_policy, snapshot=first.snapshot, recipe=RECIPE, enqueue=False
    )
    return actions.execute_round(round=launched)


def repeats(name):
    graph = Graph()
    return repeats_of(graph, graph.made[ModelVersion.objects.get(name=name).pk])


def test_the_same_round_again_is_found_and_its_weights_compared(again):
    (repeat,) = repeats("again-dpo")
    assert (repeat.version.name, repeat.is_same, repeat.differs) == ("r1-dpo", True, ())


def test_other_weights_are_told_with_what_differs(again):
    ModelVersion.objects.filter(name="r1-dpo").update(content_hash="other")
    Stage.objects.filter(round__name="r1", kind="dpo").update(provenance={"libraries": {"torch": "2.12.0"}})
    Stage.objects.filter(round__name="again", kind="dpo").update(provenance={"libraries": {"torch": "2.13.0"}})
    (repeat,) = repeats("again-dpo")
    assert (repeat.is_same, repeat.differs) == (False, ("torch 2.12.0, here 2.13.0",))


def test_another_value_of_the_recipe_is_no_repeat(again):
    again.recipe["dpo"]["beta"] = 0.5
    again.save(update_fields=["recipe"])
    assert repeats("again-dpo") == []


def test_an_imported_version_repeats_nothing(policy):
    assert repeats("base") == []
    assert not_deterministic([]) == []


def test_a_hubs_model_has_no_hash_so_nothing_is_said_to_repeat_it(again):
    ModelVersion.objects.filter(name="base").update(content_hash="")
    assert repeats("again-reward") == []


def test_fine_tuning_is_as_repeatable_as_the_sampling_that_it_read(again):
    Stage.objects.filter(round__name="again", kind="rejection_sampling").update(
        provenance={"not_deterministic": ["vLLM's batches."]}
    )
    graph = Graph()
    made = graph.made[ModelVersion.objects.get(name="again-sft").pk]
    assert not_deterministic(made.stages) == ["vLLM's batches."]
