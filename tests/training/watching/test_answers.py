"""Old and new answers: on the round's page, and all of them on their own."""

import pytest

from tests.training.watching import written
from tests.training.watching.conftest import page
from training.watching import answers

pytestmark = pytest.mark.django_db


@pytest.fixture
def evaluated(whole, made):
    """The new policy won the first two pairs, tied the third, lost the last; another judge says otherwise."""
    written.finish_round(whole, made())
    rows = [row for row in written.judged_rows() if row["opponent"] == "old"]
    rows = [row | {"verdict": verdict} for row, verdict in zip(rows, (1.0, 1.0, 0.5, 0.0), strict=True)]
    others = [row | {"judge": "reward_selector", "verdict": 0.0} for row in rows]
    written.lines(evaluation(whole).run_dir / "judged.jsonl", [*rows, *others])
    return whole


def evaluation(round):
    stage = round.stages.get(kind="evaluate")
    stage.round = round
    return stage


def listed(client, round, **asked):
    return client.get(page(round, "answers"), asked).content.decode()


def test_pairs_carry_the_first_judges_verdict_and_whether_they_were_cut_off(evaluated):
    pairs = answers.listed(evaluation(evaluated), "", 0, 10)
    assert [(pair.outcome, pair.old_is_cut_off, pair.new_is_cut_off) for pair in pairs] == [
        ("won", True, True), ("won", True, False), ("tied", False, False), ("lost", False, False),
    ]  # fmt: skip
    assert answers.counts(evaluation(evaluated)) == {"won": 2, "tied": 1, "lost": 1}


def test_without_the_completions_nothing_is_called_cut_off(evaluated):
    for name in answers.COMPLETIONS.values():
        (evaluation(evaluated).run_dir / name).unlink()
    pairs = answers.listed(evaluation(evaluated), "", 0, 10)
    assert not any(pair.old_is_cut_off or pair.new_is_cut_off for pair in pairs)


def test_the_rounds_page_names_the_judge_and_leads_to_all_pairs(staff, evaluated):
    rows = written.judged_rows()[:4]
    more = [row | {"prompt_id": str(number), "index": index} for index in (0, 1) for number, row in enumerate(rows)]
    written.lines(evaluation(evaluated).run_dir / "judged.jsonl", more)
    html = staff.get(page(evaluated)).content.decode()
    assert "is the verdict of the simulated annotators" in html
    assert f'<a href="{page(evaluated, "answers")}">All 8 pairs of answers</a>' in html


def test_the_list_is_narrowed_by_outcome(staff, evaluated):
    assert listed(staff, evaluated).count('class="card sample"') == 4
    html = listed(staff, evaluated, outcome="lost")
    assert html.count('class="card sample"') == 1
    assert "Tell me a short story." in html
    assert "new lost (1)" in html
    assert listed(staff, evaluated, outcome="nonesuch").count('class="card sample"') == 4


def test_the_list_has_pages_that_keep_the_choice(staff, evaluated):
    rows = [
        row | {"prompt_id": str(number), "verdict": 0.0} for number in range(25) for row in written.judged_rows()[:1]
    ]
    written.lines(evaluation(evaluated).run_dir / "judged.jsonl", rows)
    html = listed(staff, evaluated, outcome="lost")
    assert html.count('class="card sample"') == 20
    assert 'href="?page=2&amp;outcome=lost"' in html
    assert listed(staff, evaluated, outcome="lost", page=2).count('class="card sample"') == 5


def test_what_models_wrote_is_never_markup(staff, evaluated):
    assert "Jam &lt;b&gt;is&lt;/b&gt;" in listed(staff, evaluated)


def test_while_people_judge_blindly_they_are_shown_only_to_who_asks(staff, evaluated, monkeypatch):
    monkeypatch.setattr("training.evaluation.blind_tests.is_being_judged", lambda round: True)
    assert "Hidden until people have finished" in listed(staff, evaluated)
    html = listed(staff, evaluated, answers="1", outcome="won")
    assert html.count('class="card sample"') == 2
    assert 'href="?answers=1&amp;outcome=lost"' in html


def test_the_page_is_for_staff_and_for_rounds_with_an_evaluation(client, bob, staff, evaluated, launch):
    launched = launch("r2")
    assert "No such answers" in listed(staff, launched)
    launched.stages.get(kind="evaluate").delete()
    assert staff.get(page(launched, "answers")).status_code == 404
    client.force_login(bob)
    assert client.get(page(evaluated, "answers")).status_code == 403
