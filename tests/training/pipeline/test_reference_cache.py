"""Log-probabilities of a reference, kept by content."""

import json
import shutil

import pytest

from tests.tiny_models import save_tiny_policy
from training.pipeline.reference_cache import ReferenceCache, directory_of


def row(number):
    return {"prompt_ids": [1, number], "chosen_ids": [2], "rejected_ids": [3, 4]}


ROWS = [row(i) for i in range(6)]


def filled(directory, *, by_batch, batch=2, rows=ROWS):
    cache = ReferenceCache(directory, by_batch=by_batch)
    keys = cache.keys(rows, batch=batch)
    cache.add({key: (-float(i) - 1, -float(i) - 0.1) for i, key in enumerate(keys)})
    return keys


def unknown(directory, rows, *, by_batch, batch=2):
    cache = ReferenceCache(directory, by_batch=by_batch)
    return cache.batches_to_compute(cache.keys(rows, batch=batch), batch=batch)


def test_what_was_computed_is_found_by_the_next_run_to_the_last_bit(tmp_path):
    keys = filled(tmp_path, by_batch=False)
    again = ReferenceCache(tmp_path, by_batch=False)
    assert [again.get(key) for key in keys] == [(-float(i) - 1, -float(i) - 0.1) for i in range(6)]
    assert unknown(tmp_path, ROWS, by_batch=False) == []


def test_only_new_rows_are_computed_as_many_together_as_in_training(tmp_path):
    filled(tmp_path, by_batch=False)
    rows = [row(10), *ROWS, row(11), row(12)]
    assert unknown(tmp_path, rows, by_batch=False) == [[0, 7], [8]]


def test_by_batch_a_row_is_known_in_its_own_company_only(tmp_path):
    filled(tmp_path, by_batch=True)
    assert unknown(tmp_path, ROWS, by_batch=True) == []
    # The first batch is the same, the second has one other row, the third the same rows the other way round.
    rows = [*ROWS[:2], ROWS[2], row(10), ROWS[5], ROWS[4]]
    assert unknown(tmp_path, rows, by_batch=True) == [[2, 3], [4, 5]]
    assert unknown(tmp_path, ROWS, by_batch=True, batch=3) == [[0, 1, 2], [3, 4, 5]]


def test_a_batch_of_which_a_row_was_lost_is_computed_whole(tmp_path):
    filled(tmp_path, by_batch=True)
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20])  # torn by a kill
    assert unknown(tmp_path, ROWS, by_batch=True) == [[4, 5]]
    assert unknown(tmp_path, ROWS[:4], by_batch=True) == []


def test_without_a_directory_nothing_is_remembered(tmp_path):
    cache = ReferenceCache(None, by_batch=False)
    keys = cache.keys(ROWS, batch=4)
    cache.add({keys[0]: (-1.0, -2.0)})
    assert cache.get(keys[0]) is None
    assert cache.batches_to_compute(keys, batch=4) == [[0, 1, 2, 3], [4, 5]]
    assert (cache.asked, cache.unknown) == (6, 6)


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
    filled(tmp_path, by_batch=False)
    cache = ReferenceCache(tmp_path, by_batch=False)
    assert cache.cached is None
    keys = cache.keys(ROWS, batch=2)
    cache.batches_to_compute(keys, batch=2)
    assert cache.cached is True
    cache.forget()
    assert cache.batches_to_compute(keys, batch=2) == [[0, 1], [2, 3], [4, 5]]
    cache.add(dict.fromkeys(keys, (-1.0, -2.0)))
    assert cache.cached is False
