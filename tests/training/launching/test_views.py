"""The form that launches a round, and what stands beside it."""

import re
import uuid
from html import unescape
from unittest.mock import patch

import pytest
from django.urls import reverse

from sampling.long_tasks import TaskState
from tests.training import checks, rounds
from tests.training.watching import written
from training import actions
from training import recipe as recipes
from training.launching import checking
from training.launching.forms import recipe_names
from training.models import LaunchCheck, TrainingRound

pytestmark = pytest.mark.django_db
NEW, ESTIMATE = (reverse(f"training:{name}") for name in ("round_new", "estimate"))


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_round.delay") as delay, patch("training.tasks.run_check.delay"):
        yield delay


@pytest.fixture
def smoke_form(policy, snapshot):
    return {
        "name": "r1",
        "base_policy": policy.pk,
        "snapshot": snapshot.pk,
        "recipe": "smoke",
        "seed": 17,
        "request_key": str(uuid.uuid4()),
    }


def executed() -> LaunchCheck:
    return actions.execute_check(check=checks.only_one())


def errors(response) -> dict[str, list[str]]:
    return dict(response.context["form"].errors)


# --- who may see it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [NEW, ESTIMATE])
def test_the_pages_are_for_staff(client, bob, url):
    response = client.get(url)
    assert (response.status_code, response.url) == (302, f"{reverse('login')}?next={url}")
    client.force_login(bob)
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403


def test_the_list_of_dropped_rows_is_for_staff_and_to_read(client, bob, staff, smoke_form, fake_check):
    staff.post(NEW, smoke_form | {"check": "1"})
    url = reverse("training:check_dropped", args=[checks.only_one().pk])
    assert staff.post(url).status_code == 405
    assert staff.get(reverse("training:check_dropped", args=[0])).status_code == 404
    client.force_login(bob)
    assert client.get(url).status_code == 403


# --- launching ----------------------------------------------------------------------------------------------------


def test_the_form_offers_a_free_name_and_says_what_is_known(staff, policy, snapshot):
    html = staff.get(NEW).content.decode()
    assert 'value="round-1"' in html
    assert "Before it starts" in html
    assert "(16 train pairs, none by people)" in html
    assert recipes.load("demo").description in html.replace("&#x27;", "'")


def test_what_each_recipe_does_and_warns_of_stands_below_the_select_without_a_script(staff, policy, snapshot):
    html = unescape(staff.get(NEW).content.decode())
    listed = html[html.index('class="recipes"') : html.index('name="changes"')]
    for name in recipe_names():
        told = recipes.load(name)
        assert told.description in listed
        assert told.warning in listed
    assert "notice-warning" in listed


def test_the_form_launches_one_round_however_often_it_is_sent(staff, smoke_form, announced):
    first = staff.post(NEW, smoke_form)
    assert staff.post(NEW, smoke_form).url == first.url
    round = TrainingRound.objects.get()
    assert first.url == reverse("training:round", args=[round.pk])
    assert round.created_by.username == "alice"


def test_what_is_wrong_stands_beside_its_field(staff, smoke_form, round):
    response = staff.post(NEW, smoke_form)
    assert response.status_code == 422
    assert errors(response) == {"name": ['There is a round "r1" already. Choose another name.']}


def test_a_field_left_empty_is_told_of(staff, smoke_form):
    response = staff.post(NEW, smoke_form | {"name": "", "seed": "many"})
    assert set(errors(response)) == {"name", "seed"}
    assert not TrainingRound.objects.exists()


def test_a_link_with_a_snapshot_has_it_chosen(staff, policy, snapshot):
    other = rounds.make_snapshot("july")
    html = staff.get(NEW, {"snapshot": snapshot.pk}).content.decode()
    assert re.search(rf'<option value="{snapshot.pk}" selected', html)
    assert not re.search(rf'<option value="{other.pk}" selected', html)


def test_changes_are_laid_over_the_recipe(staff, smoke_form):
    staff.post(NEW, smoke_form | {"changes": "dpo.beta = 0.3\nsft.epochs = 2"})
    round = TrainingRound.objects.get()
    assert (round.recipe["dpo"]["beta"], round.recipe["sft"]["epochs"]) == (0.3, 2.0)
    assert round.changes == {"dpo": {"beta": 0.3}, "sft": {"epochs": 2}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("dpo.beta = ", "not TOML"),
        ("dpo.loss = ipo", 'Line 1: text needs quotes, dpo.loss = "ipo".'),
        ("dpo.bta = 0.2", 'Did you mean "beta"'),
        ("dpo.beta = -1", "must be above 0"),
    ],
)
def test_a_wrong_change_is_told_beside_the_changes(staff, smoke_form, changes, words):
    response = staff.post(NEW, smoke_form | {"changes": changes})
    assert response.status_code == 422
    assert list(errors(response)) == ["changes"]
    assert words in errors(response)["changes"][0]
    checked = staff.post(NEW, smoke_form | {"changes": changes, "check": "1"})
    assert errors(checked) == errors(response)
    assert words in unescape(checked.content.decode()).split('id="id_changes"')[1].split("</div>")[0]
    panel = staff.post(ESTIMATE, smoke_form | {"changes": changes}).content.decode()
    assert '<a href="#id_changes">Changes</a>' in panel


def test_a_judge_that_nobody_registered_is_told_beside_the_recipe(staff, smoke_form, policy):
    changes = 'evaluate.judges = ["model"]\nevaluate.judge_policy = "{}"'
    response = staff.post(NEW, smoke_form | {"changes": changes.format("nobody")})
    assert "no policy of that name is registered" in errors(response)["recipe"][0]
    assert staff.post(NEW, smoke_form | {"changes": changes.format(policy.name)}).status_code == 302


DEMONSTRATIONS = """
demonstrations.method = "full"
demonstrations.learning_rate = 1e-5
demonstrations.epochs = 1
demonstrations.batch = 4
demonstrations.max_length = 64
demonstrations.rounds = "1"
"""


def test_a_recipe_that_begins_with_demonstrations_asks_for_them(staff, smoke_form):
    response = staff.post(NEW, smoke_form | {"changes": DEMONSTRATIONS})
    assert "begins this round with SFT on demonstrations" in errors(response)["demonstrations"][0]


def test_a_round_goes_on_from_a_finished_one(staff, smoke_form, round):
    refused = staff.post(NEW, smoke_form | {"name": "r2", "previous": round.pk})
    assert "previous" in errors(refused)
    TrainingRound.objects.update(state=TaskState.FINISHED)
    # What holds for the first round only asks for nothing in the second.
    staff.post(NEW, smoke_form | {"name": "r2", "previous": round.pk, "changes": DEMONSTRATIONS})
    second = TrainingRound.objects.get(name="r2")
    assert (second.number, second.previous) == (2, round)
    assert "demonstrations" not in second.recipe


def test_continuing_and_cloning_fill_the_form(staff, smoke_form):
    staff.post(NEW, smoke_form | {"changes": "dpo.beta = 0.3"})
    first = TrainingRound.objects.get()
    TrainingRound.objects.update(state=TaskState.FINISHED)
    html = staff.get(NEW, {"continue": first.pk}).content.decode()
    assert re.search(rf'<option value="{first.pk}" selected', html)
    assert "dpo.beta = 0.3" in html
    form = staff.get(NEW, {"clone": first.pk}).context["form"]
    assert form["cloned_from"].initial == first.pk
    cloned = smoke_form | {"name": "r2", "cloned_from": first.pk, "request_key": str(uuid.uuid4())}
    staff.post(NEW, cloned | {"changes": form["changes"].initial})
    second = TrainingRound.objects.get(name="r2")
    assert (second.cloned_from, second.recipe) == (first, first.recipe)


def test_the_heading_says_what_is_cloned_or_continued(staff, smoke_form, policy):
    def heading(**asked):
        return re.search(r"<h1>(.*?)</h1>", staff.get(NEW, asked).content.decode())[1]

    assert heading() == "Launch a round"
    staff.post(NEW, smoke_form)
    first = TrainingRound.objects.get()
    TrainingRound.objects.update(state=TaskState.FINISHED, policy=policy)
    assert heading(clone=first.pk) == "Clone of r1"
    assert heading(**{"continue": first.pk}) == "Round 2 after r1"
    refused = staff.post(NEW, smoke_form | {"name": "a b", "previous": first.pk, "request_key": str(uuid.uuid4())})
    assert "<h1>Round 2 after r1</h1>" in refused.content.decode()


def test_a_round_that_cannot_be_continued_says_why_in_place_of_a_form(staff, round):
    html = unescape(staff.get(NEW, {"continue": round.pk}).content.decode())
    assert 'Round "r1" is queued; a schedule goes on from a round that has finished.' in html
    assert "launch-form" not in html
    assert f"?clone={round.pk}" in html


def test_going_on_with_the_same_judgments_or_from_a_round_without_a_policy_is_warned_of(staff, smoke_form, round):
    TrainingRound.objects.update(state=TaskState.FINISHED)
    html = unescape(staff.get(NEW, {"continue": round.pk}).content.decode())
    assert 'Snapshot "june" holds what round "r1" has learned from already.' in html
    assert 'Round "r1" made no policy' in html
    other = smoke_form | {"previous": round.pk, "snapshot": rounds.make_snapshot("july").pk}
    for asked in (other, smoke_form):
        assert "has learned from already" not in staff.post(ESTIMATE, asked).content.decode()


@pytest.mark.parametrize("name", ["a b", "a/b", "-a", ".a", "é"])
def test_a_name_under_which_no_model_can_be_served_is_refused(staff, smoke_form, name):
    response = staff.post(NEW, smoke_form | {"name": name})
    assert "cannot be the name of a model" in errors(response)["name"][0]
    assert not TrainingRound.objects.exists()


def test_the_models_that_the_round_would_make_are_named_as_typed(staff, smoke_form):
    assert "It makes my-1.2-reward, " in staff.post(ESTIMATE, smoke_form | {"name": "my-1.2"}).content.decode()
    for name in ("", "a b"):
        assert "It makes" not in staff.post(ESTIMATE, smoke_form | {"name": name}).content.decode()


LEARNING = ("reward_model", "judge_model", "dpo")
BY_PEOPLE = {"changes": "\n".join(f'{stage}.judges = "people"' for stage in LEARNING)}


def test_judgments_that_the_recipe_does_not_count_are_told_of_before_any_check(staff, smoke_form):
    response = staff.post(NEW, smoke_form | BY_PEOPLE)
    (problem,) = errors(response)["snapshot"]
    assert problem.startswith('Snapshot "june" has no judgment by people, only 20 by simulated annotators, and')
    assert all(f'{stage}.judges = "all"' in problem for stage in LEARNING)
    panel = unescape(staff.post(ESTIMATE, smoke_form | BY_PEOPLE).content.decode())
    assert "<dt>pairs by people</dt>" in panel
    rows = re.findall(r'<td class="num">(.*?)</td>', panel[panel.index("reward model", panel.index("<tbody>")) :])
    assert rows[:3] == ["0", "", ""]  # rows, steps, time


@pytest.mark.parametrize("pk", ["0", "nonesuch", "9" * 30])
def test_a_round_that_is_not_there_cannot_be_cloned(staff, policy, snapshot, pk):
    assert staff.get(NEW, {"clone": pk}).status_code == 404


# --- what stands beside the form ----------------------------------------------------------------------------------


def test_an_estimate_names_every_stage_with_rows_steps_and_disk(staff, smoke_form):
    html = staff.get(ESTIMATE, smoke_form).content.decode()
    assert html.count('id="estimate"') == 1
    assert "<html" not in html
    for words in ("check of the data", "reward model", "DPO", "evaluation", "free", "[dpo]", "8 = 2 x 4 a step"):
        assert words in html
    assert "every 2s" not in html


@pytest.mark.parametrize("field", ["base_policy", "snapshot", "recipe", "previous", "demonstrations", "changes"])
@pytest.mark.parametrize("value", ["", "nonesuch", "999999", "../../secret", "\x00"])
def test_an_estimate_of_nonsense_is_an_answer_all_the_same(staff, smoke_form, field, value):
    response = staff.post(ESTIMATE, smoke_form | {field: value})
    assert response.status_code == 200
    if value or field in ("base_policy", "snapshot", "recipe"):
        assert "notice" in response.content.decode()


def test_only_the_projects_own_recipes_are_read(staff, smoke_form, tmp_path):
    (tmp_path / "secret.toml").write_text("[dpo]\n# hidden\n")
    assert "hidden" not in staff.get(ESTIMATE, smoke_form | {"recipe": str(tmp_path / "secret")}).content.decode()


def test_nothing_on_the_page_needs_a_style_or_script_of_its_own(staff, smoke_form, fake_check):
    """The content security policy forbids both."""
    staff.post(NEW, smoke_form | {"check": "1"})
    executed()
    html = staff.post(NEW, smoke_form | {"check": "1"}).content.decode()
    assert " style=" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)


# --- the check ----------------------------------------------------------------------------------------------------


def test_asking_for_the_check_launches_nothing_and_polls_until_it_is_over(staff, smoke_form, fake_check):
    html = staff.post(NEW, smoke_form | {"check": "1"}).content.decode()
    assert 'value="r1"' in html
    assert "Waiting for a worker" in html
    assert "every 2s" in html
    executed()
    html = staff.post(ESTIMATE, smoke_form).content.decode()
    assert "every 2s" not in html
    assert "nothing stands in the way" in html
    assert not TrainingRound.objects.exists()


def test_what_was_found_replaces_what_was_estimated(staff, smoke_form, fake_check):
    staff.post(NEW, smoke_form | {"check": "1"})
    check = executed()
    html = staff.post(ESTIMATE, smoke_form).content.decode()
    for words in (
        "2 = 2 x 1 a step",
        "&lt;|im_end|&gt;, and a reply ends with it",
        "tells whose tokens count",
        "2 conversations are longer than max_length.",
        "about 2.0 GB, of 8.0 GB free",
        "median 12 tokens, 95 % up to 40, longest 64",
        "DPO: 2 too long",
        reverse("training:check_dropped", args=[check.pk]),
    ):
        assert words in re.sub(r"\s+", " ", html)
    assert html.count("<rect") == 9  # three histograms of three bars


def test_problems_of_the_check_refuse_the_launch_beside_the_fields(staff, smoke_form, fake_check):
    checks.order("problems")
    staff.post(NEW, smoke_form | {"check": "1"})
    executed()
    found = {
        "snapshot": ["Only 3 pairs remain; DPO needs 16."],
        "recipe": ["max_length is longer than the model's context."],
    }
    checked = staff.post(NEW, smoke_form | {"check": "1"})
    assert (checked.status_code, errors(checked)) == (200, found)
    refused = staff.post(NEW, smoke_form)
    assert (refused.status_code, errors(refused)) == (422, found)
    for response in (checked, refused):  # and the rest of what is known stays
        assert "DPO: 2 too long" in response.content.decode()
        assert "Check again" in response.content.decode()
    assert not TrainingRound.objects.exists()


def test_a_disk_that_is_too_full_stands_beside_the_recipe_and_nothing_is_launched(staff, smoke_form, full_disk):
    for asked in (smoke_form, smoke_form | {"check": "1"}):
        response = staff.post(NEW, asked)
        assert "The disk is too full" in errors(response)["recipe"][0]
        assert '<a href="#id_recipe">Recipe</a>' in response.content.decode()
    assert not TrainingRound.objects.exists()
    assert not LaunchCheck.objects.exists()


def test_checking_again_begins_anew(staff, smoke_form, fake_check):
    staff.post(NEW, smoke_form | {"check": "1"})
    first = executed()
    staff.post(NEW, smoke_form | {"check": "1"})
    assert checks.only_one() == first
    staff.post(NEW, smoke_form | {"check": "again"})
    assert checks.only_one().state == TaskState.QUEUED


def test_a_check_is_cancelled_from_the_form(staff, smoke_form):
    staff.post(NEW, smoke_form | {"check": "1"})
    html = staff.post(NEW, smoke_form | {"cancel_check": checks.only_one().pk}).content.decode()
    assert checks.only_one().state == TaskState.CANCELLED
    assert "It was cancelled." in html
    assert staff.post(NEW, smoke_form | {"cancel_check": "x"}).status_code == 200


def test_a_check_that_crashed_says_why(staff, smoke_form, fake_check):
    checks.order("crash")
    staff.post(NEW, smoke_form | {"check": "1"})
    executed()
    assert (
        "It could not be made. The program ended with exit code 7" in staff.post(ESTIMATE, smoke_form).content.decode()
    )


def test_the_rows_that_would_be_left_out_are_listed_escaped(staff, smoke_form, fake_check):
    staff.post(NEW, smoke_form | {"check": "1"})
    url = reverse("training:check_dropped", args=[checks.only_one().pk])
    assert "Nothing is left out" in staff.get(url).content.decode()
    executed()
    html = staff.get(url).content.decode()
    assert "&lt;b&gt;Why&lt;/b&gt; is" in html
    assert re.search(r'data-label="Tokens">90</td>\s*<td[^>]*>64</td>', html)


def test_of_a_long_list_one_page_is_read_and_it_is_narrowed_by_reason(staff, smoke_form, fake_check):
    staff.post(NEW, smoke_form | {"check": "1"})
    check = executed()
    rows = [*written.dropped_rows(120), *written.dropped_rows(3, stage="reward_model", reason="identical")]
    written.lines(checking.program_dir(check) / "dropped.jsonl", rows)
    url = reverse("training:check_dropped", args=[check.pk])
    html = staff.get(url, {"page": 3}).content.decode()
    assert "Page 3 of 3" in html
    assert html.count("begins &lt;b&gt;") == 23
    assert f'href="{url}?of=reward_model&amp;reason=identical"' in html
    html = staff.get(url, {"of": "reward_model", "reason": "identical"}).content.decode()
    assert html.count("begins &lt;b&gt;") == 3
