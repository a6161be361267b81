"""The rows that stages left out: counted, listed, downloaded."""

import json

import pytest

from tests.training.watching import written
from tests.training.watching.conftest import page
from training.watching import left_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def checked(whole):
    written.run_stages(whole, until="reward_model")
    return whole


def counts(round):
    return [(each.stage.kind, each.whose, each.reason, each.count, each.is_expected) for each in stages_of(round)]


def stages_of(round):
    stages = list(round.stages.order_by("position"))
    for stage in stages:
        stage.round = round
    return left_out.of_round(stages)


def test_what_the_check_expects_stands_for_stages_that_have_not_run(checked):
    assert counts(checked) == [
        ("reward_model", "", "too long", 7, True),
        ("reward_model", "", "identical", 5, True),
        ("dpo", "", "too long", 20, True),
    ]


def test_a_stage_that_has_run_tells_its_own(whole, made):
    written.finish_round(whole, made())
    assert counts(whole) == [
        ("reward_model", "", "too long", 7, False),
        ("reward_model", "", "identical", 5, False),
        ("reward_model", "held-out pairs", "too long", 1, False),
        ("rejection_sampling", "prompts", "all candidates said the same", 24, False),
        ("rejection_sampling", "prompts", "no candidate finished within 16 tokens", 5, False),
        ("sft", "", "too long", 2, False),
        ("dpo", "", "too long", 20, False),
    ]


def test_what_never_reached_a_stage_that_has_run_is_told_by_the_check(whole, made):
    written.finish_round(whole, made())
    check = whole.stages.get(kind="check")
    check.result["stages"]["dpo"]["dropped"] |= {"conflict": 3, "held_out": 2, "held_out_tie": 1, "empty": 9}
    check.save()
    of_dpo = [(each.reason, each.count, each.is_expected) for each in stages_of(whole) if each.stage.kind == "dpo"]
    assert of_dpo == [
        ("too long", 20, False), ("conflict", 3, False), ("held out", 2, False), ("held out tie", 1, False),
    ]  # fmt: skip


def test_only_a_list_that_is_there_is_linked_to(whole, made):
    written.finish_round(whole, made())
    linked = {each.stage.kind: each.url for each in stages_of(whole)}
    assert linked["dpo"] == page(whole, "dropped", "dpo") + "?reason=too_long"
    assert linked["sft"] == ""


def test_the_list_has_pages_and_every_row_is_on_one(staff, checked):
    stage = checked.stages.get(kind="check")
    written.lines(stage.run_dir / "dropped.jsonl", written.dropped_rows(120))
    seen = []
    for number in (1, 2, 3):
        html = staff.get(page(checked, "dropped", "check"), {"page": number}).content.decode()
        seen += [row for row in range(120) if f"Row {row} begins" in html]
    assert seen == list(range(120))
    assert "Page 3 of 3" in html
    assert "&lt;b&gt;so&lt;/b&gt;" in html


def test_the_list_is_narrowed_by_stage_and_reason_also_on_its_second_page(staff, checked):
    stage = checked.stages.get(kind="check")
    rows = [*written.dropped_rows(60), *written.dropped_rows(3, stage="reward_model", reason="identical")]
    written.lines(stage.run_dir / "dropped.jsonl", rows)
    html = staff.get(page(checked, "dropped", "check"), {"of": "dpo", "reason": "too_long"}).content.decode()
    assert html.count("begins &lt;b&gt;") == 50
    assert "?page=2&amp;of=dpo&amp;reason=too_long" in html
    html = staff.get(page(checked, "dropped", "check"), {"reason": "identical"}).content.decode()
    assert html.count("begins &lt;b&gt;") == 3


def test_the_file_is_downloaded_as_it_is(staff, checked):
    response = staff.get(page(checked, "dropped_file", "check"))
    assert 'filename="r1-check-left-out.jsonl"' in response["Content-Disposition"]
    rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert len(rows) == 27


def test_a_stage_that_left_nothing_out_says_so(staff, checked):
    assert "Nothing is left out" in staff.get(page(checked, "dropped", "sft")).content.decode()
    assert staff.get(page(checked, "dropped_file", "sft")).status_code == 404
    assert staff.get(page(checked, "dropped", "nonesuch")).status_code == 404


def test_a_reason_that_no_row_has_is_not_told_as_if_every_row_was_used(staff, checked):
    html = staff.get(page(checked, "dropped", "check"), {"reason": "nonesuch"}).content.decode()
    assert "No row was left out for this" in html
    assert "Nothing is left out" not in html
    assert f'href="{page(checked, "dropped", "check")}"' in html  # the way back to all


def test_a_torn_or_broken_file_shows_the_rows_before(staff, checked):
    path = checked.stages.get(kind="check").run_dir / "dropped.jsonl"
    with path.open("a") as file:
        file.write("{broken\n" + json.dumps(written.dropped_rows(1)[0]))
    assert staff.get(page(checked, "dropped", "check")).content.decode().count("begins &lt;b&gt;") == 27


def test_the_pages_are_for_staff(client, bob, checked):
    client.force_login(bob)
    for name in ("dropped", "dropped_file"):
        assert client.get(page(checked, name, "check")).status_code == 403
