"""What other people's programs make of each layout: ``datasets`` loads it, TRL's trainers take theirs as it is."""

import pytest

from annotation.datasets.export_rows import Rows
from annotation.datasets.exports import write_export
from annotation.datasets.layouts import LAYOUTS, FileType
from tests.annotation.datasets.exported import marked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def load(directory, tmp_path):
    datasets = pytest.importorskip("datasets")
    return datasets.load_dataset(str(directory), cache_dir=str(tmp_path / "cache"))


def export(snapshot, tmp_path, layout, rows=Rows.JUDGMENT, file_type=FileType.JSONL, **more):
    directory = tmp_path / f"{layout}-{rows}-{file_type}"
    written = write_export(
        snapshot=snapshot, directory=directory, layout=layout, rows=rows, file_type=file_type, **more
    )
    return directory, written


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_datasets_loads_both_types_alike_with_the_same_columns_in_both_splits(project, tmp_path, layout):
    snapshot = marked(project)
    for rows in Rows:
        more = {"has_rationales": LAYOUTS[layout].has_rationales}
        lines, written = export(snapshot, tmp_path, layout, rows, **more)
        parquet, _ = export(snapshot, tmp_path, layout, rows, FileType.PARQUET, **more)
        loaded, same = load(lines, tmp_path), load(parquet, tmp_path)
        assert {split: len(found) for split, found in loaded.items()} == written.counts
        assert loaded["train"].features == loaded["eval"].features == same["train"].features
        assert loaded["train"].to_list() == same["train"].to_list()
        assert loaded["eval"].to_list() == same["eval"].to_list()


def arguments(kind, tmp_path, **more):
    return kind(
        output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=2, report_to=[], save_strategy="no",
        use_cpu=True, bf16=False, logging_steps=1, disable_tqdm=True, **more,
    )  # fmt: skip


def trained(trainer):
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["trl_preference", "trl_unpaired", "sft"])
@pytest.mark.parametrize("file_type", list(FileType))
def test_trls_trainers_take_theirs_as_it_is(snapshot, tmp_path, layout, file_type):
    trl = pytest.importorskip("trl")
    from tests import tiny_models

    directory, _ = export(snapshot, tmp_path, layout, file_type=file_type)
    rows = load(directory, tmp_path)["train"]
    policy = str(tiny_models.save_tiny_policy(tmp_path / "policy"))
    tokenizer = tiny_models.tiny_tokenizer()
    if layout == "trl_preference":
        reward = str(tiny_models.save_tiny_reward_model(tmp_path / "reward"))
        losses = trained(
            trl.RewardTrainer(
                reward, args=arguments(trl.RewardConfig, tmp_path), train_dataset=rows, processing_class=tokenizer
            )
        )
        assert len(losses) == 2
        trainer, config = trl.DPOTrainer, trl.DPOConfig
    elif layout == "trl_unpaired":
        trainer, config = _kto()
    else:
        trainer, config = trl.SFTTrainer, trl.SFTConfig
    losses = trained(trainer(policy, args=arguments(config, tmp_path), train_dataset=rows, processing_class=tokenizer))
    assert len(losses) == 2


def _kto():
    """Where this release of TRL has it: in the stable part, or still under trial."""
    import trl

    if hasattr(trl, "KTOTrainer"):
        return trl.KTOTrainer, trl.KTOConfig
    from trl.experimental import kto

    return kto.KTOTrainer, kto.KTOConfig
