"""Log-probabilities of a reference, kept by content."""

import json
import shutil

import pytest

from tests.tiny_models import save_tiny_policy
from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.rankings import Comparison, Ranking
from training.pipeline.reference_cache import ReferenceCache, directory_of


def ranking(number):
    """Two completions of a prompt of two tokens."""
    return Ranking((1, number), ((2,), (3, 4)), (Comparison(0, 1),))


def part(*numbers):
    return Part(tuple(ranking(number) for number in numbers))


PARTS = [part(0, 1), part(2, 3), part(4, 5)]
SUMS = [[-1.1, -2.2, -3.3, -4.4], [-5.5, -6.6, -7.7, -8.8], [-0.1, -0.2, -0.3, -0.4]]


def filled(directory, *, by_part):
    cache = ReferenceCache(directory, by_part=by_part)
    for each, sums in zip(PARTS, SUMS, strict=True):
        cache.add(each, sums)


def known(directory, parts, *, by_part, computed_as=""):
    cache = ReferenceCache(directory, by_part=by_part)
    cache.computed_as = computed_as
    return [cache.get(each) for each in parts]


def test_what_was_computed_is_found_by_the_next_run_to_the_last_bit(tmp_path):
    filled(tmp_path, by_part=False)
    assert known(tmp_path, PARTS, by_part=False) == SUMS


def test_in_32_bits_a_completion_is_known_in_any_company(tmp_path):
    filled(tmp_path, by_part=False)
    assert known(tmp_path, [part(3, 0), part(2, 10), part(11)], by_part=False) == [[-7.7, -8.8, -1.1, -2.2], None, None]
    # Of a ranking that was cut, and whatever the pairs are.
    one = Part((Ranking((1, 0), ((3, 4),), ()),))
    assert known(tmp_path, [one], by_part=False) == [[-2.2]]
    # The prompt is of what it is known by.
    assert known(tmp_path, [Part((Ranking((1, 7), ((3, 4),), ()),))], by_part=False) == [None]


def test_by_part_a_completion_is_known_in_its_own_company_only(tmp_path):
    filled(tmp_path, by_part=True)
    assert known(tmp_path, PARTS, by_part=True) == SUMS
    # The same; one other ranking; the same the other way round; a ranking alone.
    assert known(tmp_path, [part(0, 1), part(2, 10), part(5, 4), part(0)], by_part=True) == [SUMS[0], None, None, None]
    # Laid out or attended to otherwise, it rounds otherwise.
    assert known(tmp_path, PARTS, by_part=True, computed_as="flex") == [None, None, None]


def test_a_part_of_which_a_completion_was_lost_is_computed_whole(tmp_path):
    filled(tmp_path, by_part=True)
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20])  # torn by a kill
    assert known(tmp_path, PARTS, by_part=True) == [*SUMS[:2], None]


def test_without_a_directory_nothing_is_remembered():
    cache = ReferenceCache(None, by_part=False)
    cache.add(PARTS[0], SUMS[0])
    assert [cache.get(each) for each in PARTS] == [None, None, None]
    assert (cache.asked, cache.unknown) == (12, 12)  # completions


@pytest.fixture
def numbers():
    return ["full", "torch.float32", "bf16=False", "cpu", "2.13"]


def test_a_reference_is_its_weights_and_not_its_path(tmp_path, policy, numbers):
    copy = shutil.copytree(policy, tmp_path / "copy")
    other = save_tiny_policy(tmp_path / "other", seed=5)
    directory = directory_of("/caches", str(policy), numbers)
    assert directory.parts[:3] == ("/", "caches", "reference")
    assert directory_of("/caches", str(copy), numbers) == directory
    assert directory_of("/caches", str(other), numbers) != directory


def test_another_precision_is_another_reference(policy, numbers):
    bf16 = [*numbers[:2], "bf16=True", *numbers[3:]]
    assert directory_of("/caches", str(policy), bf16) != directory_of("/caches", str(policy), numbers)


def test_nothing_is_kept_of_a_model_of_a_hub_whose_weights_may_change(policy, numbers):
    assert directory_of("/caches", "some/model", numbers) is None
    assert directory_of(None, str(policy), numbers) is None


def test_another_config_or_library_is_another_reference_and_how_it_generates_is_no_matter(
    tmp_path, policy, numbers, monkeypatch
):
    copy = shutil.copytree(policy, tmp_path / "copy")
    directory = directory_of("/caches", str(copy), numbers)
    (copy / "generation_config.json").write_text('{"temperature": 0.3}')
    assert directory_of("/caches", str(copy), numbers) == directory
    with monkeypatch.context() as patch:
        patch.setattr("training.pipeline.resuming.metadata.version", lambda name: "9")
        assert directory_of("/caches", str(copy), numbers) != directory
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert directory_of("/caches", str(copy), numbers) != directory


def test_whether_all_was_known_is_not_said_of_a_reference_that_nobody_asked(tmp_path):
    filled(tmp_path, by_part=False)
    cache = ReferenceCache(tmp_path, by_part=False)
    assert cache.cached is None
    assert [cache.get(each) for each in PARTS] == SUMS
    assert cache.cached is True
    cache.forget()
    assert cache.cached is None
    assert [cache.get(each) for each in PARTS] == [None, None, None]
    cache.add(PARTS[0], SUMS[0])
    assert cache.cached is False
