"""The shell commands: what they do, in one line, and what they say when it cannot be done."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sampling import actions
from sampling.importing import actions as importing
from sampling.models import DataImport, FilterSet, ModelVersion, Prompt, PromptSet, SamplingRun
from tests.sampling.conftest import make_checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def said(capsys):
    """Runs a command and returns what it wrote: (stdout, stderr)."""

    def run(*argv) -> tuple[str, str]:
        call_command(*map(str, argv))
        return capsys.readouterr()

    return run


def test_import_prompts_says_what_it_added_and_what_it_left_out(tmp_path, said):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "one"}\nnot json\n{"prompt": "two"}\n')

    out, err = said("import_prompts", file, "--set", "everyday")

    pk = DataImport.objects.get().pk
    assert out == (
        f'prompts.jsonl: 2 prompts added to "everyday"; 0 known, 0 removed by filters, 1 rejected. Import {pk}.\n'
    )
    assert "prompts.jsonl, line 2: Not JSON" in err
    assert Prompt.objects.count() == 2


def test_import_prompts_names_a_missing_file(tmp_path):
    with pytest.raises(CommandError, match=r"gone\.jsonl cannot be read: No such file or directory."):
        call_command("import_prompts", str(tmp_path / "gone.jsonl"), "--set", "everyday")


@pytest.fixture
def two_prompts(tmp_path):
    file = tmp_path / "two.jsonl"
    file.write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    return file


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--eval-share", "20"], "between 0 and 1"),
        (["--eval-percent", "120"], "between 0 and 100"),
        (["--filters", "tidy"], 'no set of filters "tidy". There are: none'),
        (["--map", "prompt"], "write OURS=THEIRS"),
        (["--map", "planet=x"], "where OURS is one of prompt, "),
        (["--format", "recipes"], 'no format "recipes". There are: '),
    ],
)
def test_import_prompts_says_what_is_wrong(two_prompts, argv, message):
    with pytest.raises(CommandError) as refused:
        call_command("import_prompts", str(two_prompts), "--set", "everyday", *argv)
    assert message in str(refused.value)
    assert not Prompt.objects.exists()


def test_import_prompts_needs_a_file_and_a_set(two_prompts):
    with pytest.raises(CommandError, match="at least one FILE and --set, or --resume"):
        call_command("import_prompts", str(two_prompts))


def test_several_files_are_imported_one_after_the_other(two_prompts, tmp_path, said):
    more = tmp_path / "more.csv"
    more.write_text("question\nthree\n")
    out, _ = said("import_prompts", two_prompts, more, "--set", "everyday", "--map", "prompt=question")
    assert [line.split(" added")[0] for line in out.splitlines()] == ["two.jsonl: no prompts", "more.csv: 1 prompts"]


def test_a_look_from_the_shell_writes_nothing(two_prompts, said):
    out, _ = said("import_prompts", two_prompts, "--set", "everyday", "--look")
    assert "two.jsonl: 2 rows of format " in out
    assert "2 prompts" in out
    assert out.endswith("Nothing was written.\n")
    assert not DataImport.objects.exists()
    assert not PromptSet.objects.exists()


def test_what_was_left_out_is_written_to_a_file(tmp_path, said):
    FilterSet.objects.create(name="tidy", steps=[{"filter": "duplicates"}])
    file, out = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    file.write_text('{"prompt": "one"}\n{\n{"prompt": "One"}\n')
    said("import_prompts", file, "--set", "everyday", "--filters", "tidy", "--rejects", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["line"], row["why"]) for row in rows] == [(2, "rejected"), (3, "filtered")]


def test_an_interrupted_import_says_how_to_go_on_and_does(two_prompts, said, monkeypatch):
    def interrupt(shown, progress, began):
        if progress.rows:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sampling.management.importing._show", interrupt)
        with pytest.raises(CommandError) as cancelled:
            call_command("import_prompts", str(two_prompts), "--set", "everyday")
    pk = DataImport.objects.get().pk
    assert f"manage.py import_prompts --resume {pk} goes on with it" in str(cancelled.value)
    assert DataImport.objects.get().state == "cancelled"

    out, _ = said("import_prompts", "--resume", pk)
    assert "2 prompts added" in out
    with pytest.raises(CommandError, match="is finished; there is nothing left to do"):
        call_command("import_prompts", "--resume", str(pk))


def test_an_import_that_a_worker_is_at_is_not_taken_from_it(two_prompts):
    mine = importing.create_import(what="prompts", prompt_set_name="everyday", location=str(two_prompts), enqueue=False)
    mine.take()
    with pytest.raises(CommandError, match="its worker gives signs of life"):
        call_command("import_prompts", "--resume", str(mine.pk))
    with pytest.raises(CommandError, match="no import 999 of prompts"):
        call_command("import_prompts", "--resume", "999")


def test_import_completions_brings_texts_to_compare(tmp_path, said):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}\n')
    out, _ = said("import_completions", file, "--set", "everyday")
    assert "1 prompts, 2 completions added" in out


def test_register_model_says_where_it_is(tmp_path, said):
    directory = make_checkpoint(tmp_path / "model")
    out, _ = said("register_model", "--name", "smollm2", "--location", directory)
    version = ModelVersion.objects.get()
    assert out == f"policy smollm2 is registered: {directory} (weights {version.content_hash[:12]}).\n"


def test_register_model_says_why_not(tmp_path):
    with pytest.raises(CommandError, match="There is no directory"):
        call_command("register_model", "--name", "x", "--location", str(tmp_path / "gone"))


def test_register_model_lists_the_models_when_the_parent_is_unknown(policy, tmp_path):
    with pytest.raises(CommandError, match='There is no model "x"'):
        call_command("register_model", "--name", "b", "--location", str(tmp_path), "--parent", "x")


def test_sample_runs_in_this_process(prompt_set, policy, fake_engine, said):
    out, _ = said("sample", "--set", "everyday", "--model", "smollm2", "--n", "2", "--split", "train")
    run = SamplingRun.objects.get()
    assert out == f'Run {run.pk} finished: 6 completions of "everyday", 9 tokens/s.\n'
    assert run.completions.count() == 6


def test_sample_goes_on_with_a_failed_run(prompt_set, policy, fake_engine, said):
    fake_engine("--die-after", "3")
    with pytest.raises(CommandError, match=r"failed with 3 of 8 completions\. .*killed"):
        call_command("sample", "--set", "everyday", "--model", "smollm2", "--n", "2")
    fake_engine()
    run = SamplingRun.objects.get()

    out, _ = said("sample", "--run", run.pk)

    assert f"Run {run.pk} finished: 8 completions" in out


def test_sample_does_not_repeat_a_finished_run(prompt_set, policy, fake_engine, said):
    said("sample", "--set", "everyday", "--model", "smollm2")
    with pytest.raises(CommandError, match="is finished; there is nothing left to do"):
        call_command("sample", "--run", str(SamplingRun.objects.get().pk))


def test_sample_goes_on_with_a_run_whose_process_was_killed(prompt_set, policy, fake_engine, said):
    run = actions.create_sampling_run(prompt_set=prompt_set, policies=[policy], n=2, enqueue=False)
    run.take()
    with pytest.raises(CommandError, match="its worker gives signs of life"):
        call_command("sample", "--run", str(run.pk))
    SamplingRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))

    out, _ = said("sample", "--run", run.pk)

    assert f"Run {run.pk} finished: 8 completions" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--set", "nothing", "--model", "smollm2"], 'There is no prompt set "nothing". There are: everyday.'),
        (["--set", "everyday", "--model", "x"], 'There is no model "x". There are: smollm2.'),
        (["--set", "everyday"], "Give --set and --model"),
        (["--set", "everyday", "--model", "smollm2", "--n", "0"], "n: Ensure this value is greater"),
        (["--run", "99"], "There is no sampling run 99."),
    ],
)
def test_sample_says_what_is_missing(prompt_set, policy, argv, message):
    with pytest.raises(CommandError) as refused:
        call_command("sample", *argv)
    assert message in str(refused.value)


@pytest.mark.parametrize("command", ["import_prompts", "import_completions", "register_model", "sample"])
def test_help_has_an_example_on_one_line(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    example = capsys.readouterr().out.split("example:\n")[1].strip()
    assert example.startswith(f"manage.py {command} ")
    assert "\n" not in example


def test_a_cancelled_sample_says_how_to_go_on(prompt_set, policy, fake_engine, quick_heart, monkeypatch):
    fake_engine("--hang")

    def interrupt(progress, done, **_):
        if done:
            raise KeyboardInterrupt

    monkeypatch.setattr("sampling.management.commands.sample.advance", interrupt)
    with pytest.raises(CommandError, match=r"Its 1 completions are kept; manage.py sample --run \d+ goes on"):
        call_command("sample", "--set", "everyday", "--model", "smollm2")


def test_prompts_survive_a_round_trip_through_the_command(tmp_path, said):
    messages = [{"role": "system", "content": "Kurz: ü\u2028"}, {"role": "user", "content": "שלום 👋"}]
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"messages": messages}, ensure_ascii=False))
    said("import_prompts", file, "--set", "world")
    assert Prompt.objects.get().messages == messages
