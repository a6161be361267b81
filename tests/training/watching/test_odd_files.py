"""Files and results that are not as they should be: every page of a round shows the rest of them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from tests.training import checks
from tests.training.launching import fake_check
from tests.training.watching import written
from tests.training.watching.conftest import page, part
from training import actions
from training.launching import checking
from training.models import StageKind
from training.watching import figures, result_warnings, results, run_files, trusted

pytestmark = pytest.mark.django_db
ODD = [None, "x", "NaN", [], [[]], {}, {"a": 1}, True, -3, 10**400, float("nan")]
NO_ROWS = [None, [], "x", 3, {}, True]
FILES = {
    "metrics.jsonl": written.curves(12),
    "probes.jsonl": written.probe_rows(0, 12),
    "judged.jsonl": written.judged_rows(),
    "dropped.jsonl": written.dropped_rows(2),
}


def spoilt(value: Any) -> Iterator[Any]:
    """The value with each of its parts, however deep, in turn replaced by something odd or taken away."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part_of_it in parts:
        for odd in [*ODD, *spoilt(part_of_it)]:
            copy = value.copy()
            copy[key] = odd
            yield copy
        copy = value.copy()
        del copy[key]
        yield copy


def every_page(client, round, other) -> None:
    urls = [reverse("training:rounds"), page(round, "blind_tests"), page(round, "round_overrule")]
    urls.append(f"{reverse('training:rounds_compared')}?round={round.pk}&round={other.pk}")
    for stage in round.stages.all():
        urls += [f"{page(round)}?stage={stage.kind}", page(round, "round_log", stage.kind)]
        urls += [f"{page(round, 'dropped', stage.kind)}{asked}" for asked in ("", "?of=dpo&reason=too_long")]
        urls.append(f"{reverse('training:rounds_compared')}?round={round.pk}&round={other.pk}&stage={stage.kind}")
    for url in urls:
        assert client.get(url).status_code in (200, 302), url
    for target in ("round", "stage"):
        assert part(client, page(round), target).status_code == 200


@pytest.fixture
def two(whole, launch, made):
    other = launch("r2")
    written.finish_round(whole, made())
    written.finish_round(other, made("r2-sft"))
    return whole, other


@pytest.mark.parametrize("name", FILES)
def test_rows_that_are_none_or_lack_something_are_left_out_of_every_page(staff, two, name):
    round, other = two
    good = FILES[name]
    rows = [*NO_ROWS, good[0], *spoilt(good[0]), *good]
    for stage in round.stages.all():
        stage.round = round
        stage.run_dir.mkdir(parents=True, exist_ok=True)
        (stage.run_dir / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    every_page(staff, round, other)


@pytest.mark.parametrize("odd", ["NaN", [], [[]], {"a": 1}], ids=str)
def test_results_of_other_kinds_than_they_should_be_show_the_rest(staff, two, odd):
    """On the pages; test_any_part_of_a_result_may_be_odd has every way in which they can be."""
    round, other = two
    for spoil in (all_of, within):
        for stage in round.stages.all():
            round.stages.filter(pk=stage.pk).update(result=spoil(written.result_of(stage.kind), odd))
        every_page(staff, round, other)


def all_of(result: dict[str, Any], odd: Any) -> dict[str, Any]:
    return dict.fromkeys(result, odd)


def within(result: dict[str, Any], odd: Any) -> dict[str, Any]:
    """The objects in a result, and those in its lists, hold something odd under each of their keys."""
    return {
        key: dict.fromkeys(value, odd)
        if isinstance(value, dict)
        else [dict.fromkeys(value[0], odd)]
        if listed_objects(value)
        else value
        for key, value in result.items()
    }


def listed_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


@pytest.mark.parametrize("kind", StageKind)
def test_any_part_of_a_result_may_be_odd(kind):
    for raw in [*ODD, *spoilt(written.result_of(kind))]:
        result = trusted.RESULT(raw) or {}
        figures.facts_of(kind, result)
        results.pictures_of(kind, result)
        results.locations_in(result)
        for of_result in ("of_reward_model", "of_rejection_sampling", "of_evaluation", "of_harness"):
            getattr(result_warnings, of_result)(result)


@pytest.mark.parametrize("odd", [b"null", b"[]", b"3", b'"x"', b"{", b"\xff", b'{"done": "x", "total": [], "unit": 3}'])
def test_a_progress_file_of_another_kind_says_nothing(staff, whole, launch, odd):
    written.run_stages(whole, until="dpo")
    (whole.stages.get(kind="dpo").run_dir / "progress.json").write_bytes(odd)
    every_page(staff, whole, launch("r2"))


def test_rows_of_a_whole_kind_are_kept_as_they_are(whole):
    written.run_stages(whole, until="dpo")
    dpo, check = whole.stages.get(kind="dpo"), whole.stages.get(kind="check")
    assert run_files.metrics(dpo) == written.curves()[:30]
    assert run_files.probes(dpo) == written.probe_rows(0, 12, 24)
    assert len(list(run_files.dropped_rows(check.run_dir))) == 27
    for kind in StageKind:
        told = {key: value for key, value in written.result_of(kind).items() if value is not None}
        assert trusted.RESULT(told) == told


def test_a_loss_that_is_no_number_any_more_is_still_news(whole):
    written.run_stages(whole, until="dpo")
    dpo = whole.stages.get(kind="dpo")
    written.lines(dpo.run_dir / "metrics.jsonl", [{"step": 1, "loss": None}, {"step": 2, "loss": float("nan")}])
    assert run_files.metrics(dpo) == [{"step": 1, "loss": None}, {"step": 2, "loss": None}]


@pytest.mark.usefixtures("fake_check")
def test_what_a_check_left_may_be_odd_too(staff, policy, snapshot):
    check = actions.execute_check(check=actions.requested_check(asked=checks.asked(policy, snapshot), enqueue=False))
    url = reverse("training:check_dropped", args=[check.pk])
    rows = [*NO_ROWS, *spoilt(fake_check.DROPPED[0])]
    listed = checking.program_dir(check) / "dropped.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no JSON\n")
    for asked in ({}, {"of": "dpo"}, {"reason": "too_long"}):
        assert staff.get(url, asked).status_code == 200
    listed.write_bytes(b"\xff\xfe\n")
    assert staff.get(url).status_code == 200
