from sampling.models import ModelVersion, Split
from training.lineage.graph import Graph, Source
from training.models import TrainingRound


def names(graph, ids):
    return [graph.made[pk].version.name for pk in ids]


def origins(graph, name):
    made = graph.made[ModelVersion.objects.get(name=name).pk]
    return [(origin.how, graph.made[origin.version_id].version.name) for origin in made.origins]


def test_a_version_came_of_what_it_started_from_and_of_what_wrote_and_chose_its_rows(first):
    graph = Graph()
    assert origins(graph, "base") == []
    assert origins(graph, "r1-reward") == [("started from", "base")]
    assert origins(graph, "r1-sft") == [("started from", "base"), ("candidates by", "base"), ("chosen by", "r1-reward")]
    assert origins(graph, "r1-dpo") == [("started from", "r1-sft")]


def test_ancestors_are_told_nearest_first_and_descendants_are_the_way_back(second):
    graph = Graph()
    dpo, base = ModelVersion.objects.get(name="r2-dpo"), ModelVersion.objects.get(name="base")
    assert names(graph, graph.ancestors(dpo.pk)) == [
        "r2-dpo", "r2-sft", "r1-dpo", "r2-reward", "r1-sft", "base", "r1-reward",
    ]  # fmt: skip
    assert set(names(graph, graph.descendants(base.pk))) == set(ModelVersion.objects.values_list("name", flat=True)) - {
        "tiny"
    }


def test_a_reward_model_and_dpo_learn_from_the_train_prompts_of_the_rounds_snapshot(first):
    graph = Graph()
    expected = [Source(first.snapshot_id, Split.TRAIN, "all")]
    assert graph.made[ModelVersion.objects.get(name="r1-reward").pk].sources == expected
    assert graph.made[ModelVersion.objects.get(name="r1-sft").pk].sources == []
    assert graph.sources_of(first.policy_id) == expected


def test_a_stage_of_all_snapshots_learned_from_the_earlier_rounds_too(second):
    TrainingRound.objects.filter(pk=second.pk).update(
        recipe=second.recipe | {"dpo": second.recipe["dpo"] | {"snapshots": "all"}}
    )
    made = Graph().made[ModelVersion.objects.get(name="r2-dpo").pk]
    assert [source.snapshot_id for source in made.sources] == [second.snapshot_id, second.previous.snapshot_id]


def test_the_graph_costs_as_many_queries_for_two_rounds_as_for_one(second, django_assert_max_num_queries):
    with django_assert_max_num_queries(4):
        Graph()
