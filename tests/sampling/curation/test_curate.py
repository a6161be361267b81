"""The shell command."""

import pytest
from django.core.management import CommandError, call_command

from sampling.curation import actions, running
from sampling.models import Curation, PromptSet
from tests.sampling.curation.conftest import COPIES

pytestmark = pytest.mark.django_db
LOOK = ("--set", "everyday", "--filters", "no copies")


@pytest.fixture
def no_copies(db):
    return actions.save_filter_set(name="no copies", steps=[COPIES])


@pytest.fixture
def said(capsys):
    def run(*argv):
        call_command("curate", *map(str, argv))
        return capsys.readouterr().out.splitlines()

    return run


def test_a_look_says_what_each_filter_removes(everyday, no_copies, said):
    first, last = said(*LOOK)
    assert first == "Duplicates (what must be the same: the prompt): removes 1 of 6"
    assert last == "5 of 6 prompts are left; nothing was kept."


def test_what_is_left_is_kept_and_the_same_words_again_change_nothing(everyday, no_copies, said):
    for _ in range(2):
        assert said(*LOOK, "--into", "few")[-1] == '5 of 6 prompts are left, kept as "few".'
    assert PromptSet.objects.get(name="few").prompts.count() == 5
    assert Curation.objects.count() == 1


def test_the_same_words_go_on_after_an_interruption(everyday, no_copies, said, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(running, "_copy", interrupted)
        with pytest.raises(CommandError, match="The same command again goes on with it"):
            said(*LOOK, "--into", "few")
    assert said(*LOOK, "--into", "few")[-1].endswith('kept as "few".')


def test_steps_may_stand_in_a_file(everyday, said, tmp_path):
    file = tmp_path / "steps.json"
    file.write_text('[{"filter": "system"}]')
    assert said("--set", "everyday", "--steps", file)[0].endswith("removes 0 of 6, changes 2")
    assert said("--set", "everyday", "--steps", file, "--into", "merged")[-1].endswith('kept as "merged".')
    file.write_text("[")
    with pytest.raises(CommandError, match="is no JSON"):
        said("--set", "everyday", "--steps", file)
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        said("--set", "everyday", "--steps", tmp_path / "gone")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--set", "gone", "--filters", "no copies"), 'There is no prompt set "gone". There are: everyday'),
        (("--set", "everyday", "--filters", "gone"), 'There is no set of filters "gone". There are: no copies'),
        ((*LOOK, "--into", "everyday"), 'There is a prompt set "everyday" already'),
        ((*LOOK, "--seed", "-1"), "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_done_is_explained(everyday, no_copies, said, argv, words):
    with pytest.raises(CommandError, match=words):
        said(*argv)


def test_filters_that_fail_say_why(everyday, said, tmp_path):
    file = tmp_path / "steps.json"
    file.write_text('[{"filter": "tokens", "most": 3, "tokenizer": "gone"}]')
    with pytest.raises(CommandError, match='No model "gone" is registered'):
        said("--set", "everyday", "--steps", file)
