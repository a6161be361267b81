import pytest

from sampling.curation import actions
from sampling.models import Curation, FilterSet, Prompt, PromptSet

STEPS = [{"filter": "turns", "most": 1}]


@pytest.fixture(autouse=True)
def no_workers(monkeypatch):
    monkeypatch.setattr("sampling.tasks.run_curation.delay", lambda pk: None)


@pytest.fixture
def prompt_set(db):
    made = PromptSet.objects.create(name="Questions")
    for number in range(2):
        turn = {"role": "user", "content": f"Question {number}?"}
        answered = [turn, {"role": "assistant", "content": "Yes."}, turn]
        Prompt.objects.create(
            prompt_set=made, messages=[turn] if number else answered, content_hash=f"{number:064}", split="train"
        )
    return made


def test_filters_are_saved_changed_and_deleted(program):
    made = program.post("/api/filter-sets/", {"name": "short ones", "steps": STEPS})
    assert made.status_code == 201, made.said
    assert made.said["steps"][0]["most"] == 1
    assert program.post("/api/filter-sets/", {"name": "short ones", "steps": STEPS}).status_code == 400
    address = f"/api/filter-sets/{made.said['id']}/"
    assert program("PUT", address, {"name": "shorter", "steps": STEPS}).said["name"] == "shorter"
    bad = program("PUT", address, {"name": "shorter", "steps": [{"filter": "turns", "most": "\x00"}]})
    assert (bad.status_code, list(bad.said["errors"])) == (400, ["steps"])
    assert program("DELETE", address).status_code == 204
    assert not FilterSet.objects.exists()


def test_filters_run_over_a_set_and_what_they_leave_is_kept(program, prompt_set):
    made = program.post("/api/curations/", {"prompt_set": "Questions", "steps": STEPS})
    assert made.status_code == 202, made.said
    address = made["Location"]
    assert program.post(f"{address}keep/", {"new_name": "Short"}).status_code == 409
    actions.execute(curation=Curation.objects.get())
    report = program.get(address).said["report"]
    assert (report["rows"], report["left"]) == (2, 1)  # of two prompts one has a single turn
    taken = program.post(f"{address}keep/", {"new_name": "Questions"})
    assert (taken.status_code, list(taken.said["errors"])) == (400, ["new_name"])
    assert program.post(f"{address}keep/", {"new_name": "Short"}).status_code == 202
    actions.execute(curation=Curation.objects.get())
    assert program.get(address).said["made"] == "Short"
    assert PromptSet.objects.get(name="Short").prompts.count() == 1


def test_a_run_is_cancelled_and_tried_again(program, prompt_set):
    address = program.post("/api/curations/", {"prompt_set": "Questions", "steps": STEPS})["Location"]
    assert program.post(f"{address}retry/").status_code == 409
    assert program.post(f"{address}cancel/").said["state"] == "cancelled"
    assert program.post(f"{address}retry/").said["state"] == "queued"
