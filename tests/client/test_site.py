"""Each method of the client, against the site itself."""

import gzip
import hashlib
import json
import re
import uuid
from pathlib import Path

import httpx
import pytest
from datasets import load_dataset

from annotation import actions as annotating
from annotation.actions import freezes
from annotation.models import Judgment
from sampling.models import Completion, DataImport, Delivery, Prompt
from tests.client.client import whetstone
from tests.training import rounds

TEXTS = ["Paris.", "It is **Paris**, of course.", "I do not know."]


@pytest.fixture
def policy(tmp_path):
    return rounds.make_policy(tmp_path / "models" / "base")


@pytest.fixture
def run(site, policy):
    """A sampling run over two prompts of train and one of eval, whose completions are there."""
    site.prompt_sets.create("capitals")
    rows = [*("What is the capital of France?", "And of Spain?"), {**messages("Of Italy?"), "split": "eval"}]
    site.prompts.add("capitals", rows)
    found = site.sampling_runs.launch(prompt_set="capitals", policies=["base"], n=3, name="first")
    for prompt in Prompt.objects.all():
        Completion.objects.bulk_create(
            Completion(
                run_id=found["id"], prompt=prompt, model_version=policy, index=index, text=text, tokens=3,
                finish_reason="stop",
            )
            for index, text in enumerate(TEXTS)
        )  # fmt: skip
    return found


@pytest.fixture
def opened(site, project, run):
    site.projects.open_comparisons(project.pk, run=run, k=3)
    return project


@pytest.fixture
def judged(opened, connect, bob):
    """Bob has ranked all three comparisons in the order of their letters."""
    bobs = connect(bob)
    while assignment := bobs.assignments.next(opened.pk):
        bobs.assignments.submit(assignment, [[shown["letter"]] for shown in assignment["completions"]])
    return opened


def messages(text: str) -> dict:
    return {"messages": [{"role": "user", "content": text}]}


def lines(path: Path, *rows: dict | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


# --- prompts, imports, models, sampling -------------------------------------------------------------------------


def test_prompts_come_in_many_at_once_with_a_result_for_each(site):
    made = site.prompt_sets.create("june")
    results = site.prompts.add(
        "june", ["Why is the sky blue?", messages("Name a bird."), {"messages": []}, "Name a bird."]
    )

    assert [result["status"] for result in results] == ["created", "created", "rejected", "known"]
    assert "messages" in results[2]["errors"]
    assert site.prompt_sets.get(made["id"])["train_count"] == 2
    assert site.prompt_sets.one(name="june")["id"] == made["id"]
    assert [prompt["id"] for prompt in site.prompts.all(split="train")] == [results[1]["id"], results[0]["id"]]
    assert site.prompts.get(results[1]["id"])["messages"][0]["content"] == "Name a bird."


def test_rows_come_page_after_page_and_each_once(site):
    site.prompt_sets.create("june")
    site.prompts.add("june", [f"Prompt {number}" for number in range(7)])
    texts = [prompt["messages"][0]["content"] for prompt in site.prompts.all(page_size=3)]
    assert texts == [f"Prompt {number}" for number in reversed(range(7))]


def test_a_filter_that_there_is_not_is_refused_with_those_there_are(site):
    with pytest.raises(whetstone.ApiError, match="Choose from: content_hash, cursor") as refused:
        list(site.prompts.all(colour="blue"))
    assert refused.value.status == 400


def test_a_file_is_brought_in_and_what_was_left_out_is_told(site, tmp_path):
    file = lines(tmp_path / "june.jsonl", {"prompt": "One?"}, "not json", {"prompt": "Two?"})
    steps = []
    done = site.imports.bring_in(
        file, what="prompts", prompt_set="june", on_progress=lambda each: steps.append((each["doing"], each["state"]))
    )

    assert (done["prompts_added"], done["rejected_count"], done["is_uploaded"]) == (2, 1, True)
    assert done["seen"]["format"] == done["options"]["format"] == "prompts"
    assert steps[0] == ("look", "queued")
    assert steps[-1] == ("import", "finished")
    (left_out,) = site.imports.rejects(done, why="rejected")
    assert (left_out["line"], left_out["content"]) == (2, "not json")
    saved = site.imports.save_rejects(done, tmp_path / "rejects.jsonl").read_text()
    assert json.loads(saved)["line"] == 2

    undone = site.imports.wait(site.imports.undo(done))
    assert undone["undone_at"] is not None
    assert not Prompt.objects.exists()


def test_the_same_request_key_is_the_same_import(site, tmp_path):
    file = tmp_path / "june.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"prompt": "One?"}\n'))
    key = uuid.uuid4()
    first, second = (site.imports.bring_in(file, what="prompts", prompt_set="june", request_key=key) for _ in range(2))
    assert first["id"] == second["id"]
    assert Prompt.objects.count() == 1


def test_an_import_is_looked_at_changed_started_cancelled_and_gone_on_with(site):
    pasted = '{"question": "One?"}\n'
    made = site.imports.create(pasted, what="prompts", prompt_set="june", comes_from="pasted")
    assert site.imports.wait(made)["doing"] == "look"

    site.imports.change(made, {"mapping": {"prompt": "question"}, "format": "mapped"})
    site.imports.wait(made)
    assert site.imports.start(made)["doing"] == "import"
    assert site.imports.cancel(made)["state"] == "cancelled"
    with pytest.raises(whetstone.TaskFailed):
        site.imports.wait(made)
    site.imports.retry(made)
    assert site.imports.wait(made)["prompts_added"] == 1
    assert [each["id"] for each in site.imports.all(what="prompts")] == [made["id"]]
    assert site.imports.get(made["id"])["options"]["mapping"] == {"prompt": "question"}


def test_filters_are_saved_and_run_over_a_set(site):
    site.prompt_sets.create("june")
    site.prompts.add("june", ["One?", "Two words?", "Is it three?"])
    saved = site.filter_sets.create("short", [{"filter": "turns", "most": 1}])
    assert site.filter_sets.one(name="short")["steps"][0]["filter"] == "turns"

    looked = site.curations.wait(site.curations.run("june", saved["steps"]))
    assert looked["made"] is None
    kept = site.curations.wait(site.curations.keep(looked, "june, short"))
    assert site.prompt_sets.one(name=kept["made"])["train_count"] == 3
    site.filter_sets.delete(saved)
    assert list(site.filter_sets.all()) == []


def test_a_checkpoint_is_registered_and_what_is_none_is_refused(site, policy):
    again = site.models.register("base", policy.location)
    assert again["id"] == policy.pk
    assert site.models.one(name="base", is_published=True)["content_hash"] == policy.content_hash
    with pytest.raises(whetstone.ApiError) as refused:
        site.models.register("none", "/nowhere")
    assert list(refused.value.errors) == ["location"]


def test_a_sampling_run_is_launched_waited_for_cancelled_and_retried(site, run):
    key = uuid.uuid4()
    asked = {"prompt_set": "capitals", "policies": ["base"], "request_key": key}
    assert site.sampling_runs.launch(**asked)["id"] == site.sampling_runs.launch(**asked)["id"]
    (mine,) = [each for each in site.sampling_runs.all(state="queued") if each["request_key"] == str(key)]
    assert site.sampling_runs.cancel(mine)["state"] == "cancelled"
    assert site.sampling_runs.retry(mine)["state"] == "queued"
    assert site.sampling_runs.wait(mine)["state"] == "finished"
    assert {each["text"] for each in site.completions.all(run=run["id"])} == set(TEXTS)


# --- annotation -------------------------------------------------------------------------------------------------


def test_a_project_is_made_changed_and_paused(site):
    made = site.projects.create("Lakes", guidelines="Be *kind*.", overlap=2)
    assert site.projects.settings(made)["overlap"] == 2
    assert site.projects.change(made, overlap=3)["overlap"] == 3
    assert site.projects.pause(made)["is_paused"] is True
    assert site.projects.pause(made, is_paused=False)["is_paused"] is False
    assert site.projects.one(slug="lakes")["guidelines"] == "Be *kind*."


def test_people_are_added_invited_and_removed(site, project, charlie):
    member = site.members.add(project.pk, "charlie", role="reviewer")
    assert site.members.change(member, role="annotator")["role"] == "annotator"
    site.members.remove(member)
    assert {each["username"] for each in site.members.all(project=project.pk)} == {"alice", "bob"}

    invitation = site.invitations.create(project.pk, days=1)
    assert invitation["link"].startswith("http://whetstone.test/join/")
    assert site.invitations.revoke(invitation)["revoked_at"]
    assert list(site.invitations.all(is_revoked=False)) == []


def test_guidelines_have_versions(site, project):
    second = site.guidelines.publish(project.pk, "Prefer *brevity*.")
    site.guidelines.read(second)
    assert [each["number"] for each in site.guidelines.all(project=project.pk)] == [2, 1]


def test_an_annotator_takes_answers_corrects_skips_and_flags(site, opened, connect, bob):
    bobs = connect(bob)
    first = bobs.assignments.next(opened.pk)
    assert first["kind"] == "work"
    a, b, c = (shown["letter"] for shown in first["completions"])
    bobs.assignments.renew(first)
    bobs.assignments.submit(first, [[b], [a, c]], strengths=["significantly_better"])
    answer = bobs.assignments.submit(first, [[a], [b, c]], based_on=1)["answer"]
    assert (answer["ranking"], answer["revision"]) == ([[a], [b, c]], 2)
    assert bobs.assignments.show(first)["answer"]["strengths"] == ["better"]

    second = bobs.assignments.next(opened.pk)
    bobs.assignments.flag(second, "Not a question.")
    bobs.assignments.skip(second, "Not for me.")
    third = bobs.assignments.next(opened.pk)
    bobs.assignments.submit(third, [[a, b, c]])
    assert bobs.assignments.next(opened.pk) is None
    assert [each["state"] for each in bobs.assignments.all(project=opened.pk)] == ["submitted", "skipped", "submitted"]

    (flag,) = site.flags.all(is_resolved=False)
    assert site.flags.resolve(flag, "It is one.")["resolution"] == "It is one."
    assert len(list(site.judgments.all(project=opened.pk, is_current=True))) == 2


def test_an_answer_that_names_what_was_not_shown_is_refused(opened, connect, bob):
    bobs = connect(bob)
    with pytest.raises(whetstone.ApiError) as refused:
        bobs.assignments.submit(bobs.assignments.next(opened.pk), [["Z"], ["A"]])
    assert refused.value.status == 400
    assert "ranking" in refused.value.errors


def test_a_training_item_is_answered_with_feedback(site, opened, connect, bob):
    comparison = opened.comparisons.last()
    letters = [each["letter"] for each in site.comparisons.show(comparison.pk)["completions"]]
    path = f"comparisons/{comparison.pk}/known-answer/"
    asked = {"purpose": "training", "ranking": [[letter] for letter in letters]}
    site.comparisons._http.request("PUT", path, json=asked)
    annotating.set_paused(project=opened, is_paused=False, by=None)

    bobs = connect(bob)
    item = bobs.assignments.next(opened.pk)
    assert item["kind"] == "training"
    bobs.assignments.submit(item, [[shown["letter"]] for shown in item["completions"]])
    assert bobs.assignments.feedback(item)["total"] == 3  # pairs of three completions


def test_a_manager_looks_at_comparisons_and_moves_them(site, opened, alice):
    found = list(site.comparisons.all(project=opened.pk))
    assert len(found) == 3
    assert site.comparisons.prioritise(opened.pk, found, 5) == 3
    shown = site.comparisons.show(found[0], policies=True)
    assert {each["policy"] for each in shown["completions"]} == {"base"}
    assert site.comparisons.ask_another(found[0], 2)["wanted"] == 2
    assert site.comparisons.withdraw(found[1], "A duplicate.")["withdrawn_at"]
    assert site.comparisons.restore(found[1], "It is none.")["withdrawn_at"] is None

    decision = site.comparisons.decide(found[2])
    assert decision["kind"] == "review"
    site.assignments.submit(decision, [[each["letter"] for each in decision["completions"]]])
    assert Judgment.objects.get().is_decision
    assert site.projects.progress(opened.pk)["comparisons"] == 3


def test_the_quality_of_the_work_is_asked_for(site, opened):
    assert site.projects.compute_quality(opened.pk)["requested_at"]
    assert site.projects.quality(opened.pk)["computed_at"] is None


def test_judgments_of_others_come_in_with_a_result_for_each(site, project):
    row = {"prompt": "Two and two?", "chosen": "Four.", "rejected": "Five."}
    results = site.judgments.add(project.pk, "sums", [row, {**row, "prompt": 1}])
    assert [result["status"] for result in results] == ["created", "rejected"]
    (judgment,) = site.judgments.all(kind="imported")
    assert site.judgments.get(judgment["id"])["ranking"] == judgment["ranking"]


# --- datasets ---------------------------------------------------------------------------------------------------


def test_a_snapshot_is_previewed_frozen_and_verified(site, judged):
    preview = site.snapshots.preview(judged.pk)
    # Three completions in a row are three pairs: of two train prompts and one eval prompt.
    assert (preview["pairs"]["train"], preview["pairs"]["eval"]) == (6, 3)
    key = uuid.uuid4()
    frozen = site.snapshots.freeze(judged.pk, "june", request_key=key)
    assert frozen["counts"]["pairs_train"] == 6
    assert site.snapshots.freeze(judged.pk, "june", request_key=key)["id"] == frozen["id"]
    assert site.snapshots.verify(frozen) is True
    assert site.snapshots.one(name="june")["content_hash"] == frozen["content_hash"]
    with pytest.raises(whetstone.ApiError, match="already has a snapshot"):
        site.snapshots.freeze(judged.pk, "june", until="2026-01-01", min_strength="better", projects=[judged.pk])


def test_a_large_snapshot_is_waited_for(site, judged, monkeypatch):
    monkeypatch.setattr(freezes, "AT_ONCE", 0)
    seen = []
    frozen = site.snapshots.freeze(judged.pk, "june", on_progress=lambda task: seen.append(task["state"]))
    assert seen == ["queued", "finished"]
    assert frozen["counts"]["pairs_train"] == 6
    assert site.freezes.one(project=judged.pk)["snapshot"] == frozen["id"]


@pytest.mark.parametrize("file_type", ["jsonl", "parquet"])
def test_an_export_is_downloaded_and_loads(site, judged, tmp_path, file_type):
    export = site.exports.create(site.snapshots.freeze(judged.pk, "june"), file_type=file_type)
    with pytest.raises(whetstone.WhetstoneError, match="it is queued"):
        site.exports.download(export, tmp_path / "june")
    done = site.exports.wait(export)
    folder = site.exports.download(done, tmp_path / "june")

    assert {path.name for path in folder.iterdir()} == {f"train.{file_type}", f"eval.{file_type}", "README.md"}
    for file in done["files"]:
        if not file["name"].endswith(".zip"):
            assert hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    dataset = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 6, "eval": 3}


def test_the_site_goes_on_with_a_download_where_it_broke_off(site, judged, tmp_path):
    done = site.exports.wait(site.exports.create(site.snapshots.freeze(judged.pk, "june")))
    file = next(each for each in done["files"] if each["name"] == "train.jsonl")
    whole = site.exports.download(done, tmp_path / "whole") / "train.jsonl"
    part = tmp_path / "june" / f"train.jsonl.{file['sha256'][:12]}.part"
    part.parent.mkdir()
    part.write_bytes(whole.read_bytes()[:100])

    answers = []
    site._client.event_hooks["response"].append(lambda answer: answers.append((answer.status_code, str(answer.url))))
    assert (site.exports.download(done, part.parent) / "train.jsonl").read_bytes() == whole.read_bytes()
    assert [status for status, url in answers if url.endswith("train.jsonl/")] == [206]
    assert not part.exists()


def test_an_export_is_cancelled_retried_and_pushed(site, judged):
    export = site.exports.create(site.snapshots.freeze(judged.pk, "june"), layout="rankings")
    assert site.exports.cancel(export)["state"] == "cancelled"
    assert site.exports.retry(export)["state"] == "queued"
    with pytest.raises(whetstone.ApiError) as refused:
        site.exports.push(export, "no hub id")
    assert "hub_id" in refused.value.errors


def test_an_annotators_work_is_withdrawn_and_given_back(site, judged):
    frozen = site.snapshots.freeze(judged.pk, "june")
    withdrawal = site.withdrawals.create("bob", "They asked for it.")
    assert withdrawal["judgments"] == 3
    assert site.snapshots.get(frozen["id"])["has_withdrawn"] is True
    site.withdrawals.take_back(withdrawal)
    assert site.snapshots.get(frozen["id"])["has_withdrawn"] is False


# --- training ---------------------------------------------------------------------------------------------------


@pytest.fixture
def launched(site, policy, monkeypatch):
    """A round over a snapshot of sixteen train pairs, as the site answers; its check says that all is well."""
    monkeypatch.setattr("training.launching.checking.problems_in", lambda check: {})
    snapshot = rounds.make_snapshot()
    return site.rounds.launch("r1", base_policy="base", snapshot=snapshot.pk, recipe="smoke")


def test_a_round_is_launched_waited_for_cancelled_and_retried(site, launched):
    assert [stage["kind"] for stage in launched["stages"]][:2] == ["check", "reward_model"]
    assert site.rounds.cancel(launched)["state"] == "cancelled"
    assert site.rounds.retry(launched)["state"] == "queued"
    seen = []
    done = site.rounds.wait(launched, on_progress=lambda round: seen.append(round["state"]))
    assert seen == ["queued", "finished"]
    assert done["id"] == site.rounds.one(name="r1")["id"] == site.rounds.get(launched["id"])["id"]
    assert site.rounds.curves(done, "reward_model") == []
    assert site.rounds.log(done, "reward_model") == ""
    with pytest.raises(whetstone.ApiError) as refused:
        site.rounds.overrule(done, "I like it.")
    assert refused.value.status == 409


def test_what_cannot_be_launched_is_refused_by_field(site, policy):
    with pytest.raises(whetstone.ApiError) as refused:
        site.rounds.launch("r1", base_policy="base", snapshot="none", recipe="nonsense")
    assert {"snapshot", "recipe"} <= set(refused.value.errors)


def test_a_check_is_asked_again_until_it_has_found_something(site, policy):
    snapshot = rounds.make_snapshot()
    found = site.rounds.check(base_policy="base", snapshot=snapshot.pk, recipe="smoke", changes={"dpo": {"beta": 0.2}})
    assert found["state"] == "finished"


def test_recipes_are_listed_and_read(site):
    assert "smoke" in [recipe["name"] for recipe in site.recipes.all()]
    assert "[dpo]" in site.recipes.get("smoke")["text"]


def test_demonstrations_come_in(site):
    good = {"messages": [*messages("Hello?")["messages"], {"role": "assistant", "content": "Hello."}]}
    made = site.demonstrations.create("chats", [good, messages("No answer.")])
    assert (made["rows"], made["rejected_count"]) == (1, 1)


def test_a_blind_test_is_refused_before_there_is_a_policy(site, launched):
    with pytest.raises(whetstone.ApiError) as refused:
        site.blind_tests.create("r1", "base")
    assert refused.value.status == 409
    assert list(site.blind_tests.all(round=launched["id"])) == []


def test_lineage_leads_from_weights_to_judgments_and_back(site, policy):
    rounds.make_snapshot()
    assert site.lineage.of(policy.pk)["version"]["name"] == "base"
    learned = site.lineage.learned_from("judgment", Judgment.objects.first().pk)
    assert learned["versions"] == []


# --- tokens, webhooks -------------------------------------------------------------------------------------------


def test_a_token_revokes_itself(site):
    (mine,) = site.tokens.all()
    assert site.tokens.revoke(mine)["revoked_at"]
    with pytest.raises(whetstone.ApiError, match="revoked or has run out") as refused:
        list(site.tokens.all())
    assert refused.value.status == 401


def test_webhooks_are_made_changed_pinged_and_deleted(site):
    made = site.webhooks.create("https://example.org/hook", ["round.finished"])
    assert made["secret"].startswith("whsec_")
    assert site.webhooks.change(made, is_active=False)["is_active"] is False
    delivery = site.webhooks.ping(made)
    Delivery.objects.update(state="failed")
    assert site.deliveries.again(delivery)["state"] == "waiting"
    assert site.deliveries.get(delivery["id"])["webhook"] == made["id"]
    site.webhooks.delete(made)
    assert list(site.webhooks.all()) == []


def test_an_unknown_event_is_refused_with_those_there_are(site):
    with pytest.raises(whetstone.ApiError) as refused:
        site.webhooks.create("https://example.org/", ["lunch"])
    assert "events" in refused.value.errors


# --- what is lost on the way ------------------------------------------------------------------------------------


class Losing(httpx.BaseTransport):
    """The site carries each first attempt out, and its answer is lost."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self.transport, self.seen = transport, set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.transport.handle_request(request)
        key = request.headers.get("Idempotency-Key", str(request.url))
        if key in self.seen:
            return answer
        self.seen.add(key)
        answer.read()
        raise httpx.ReadError("the connection was lost")


def test_what_is_sent_again_is_carried_out_once(site, policy, tmp_path):
    site._client._transport = Losing(site._client._transport)
    site.prompt_sets.create("june")
    results = site.prompts.add("june", ["One?"])
    assert [result["status"] for result in results] == ["created"]  # the answer to the first attempt, told once more
    run = site.sampling_runs.launch(prompt_set="june", policies=["base"])
    assert [each["id"] for each in site.sampling_runs.all()] == [run["id"]]

    done = site.imports.bring_in(lines(tmp_path / "july.jsonl", {"prompt": "Two?"}), what="prompts", prompt_set="july")
    assert done["prompts_added"] == 1
    assert DataImport.objects.count() == 1


# --- all of it --------------------------------------------------------------------------------------------------


def test_every_method_is_called_here(site):
    written = Path(__file__).read_text()
    for name, resource in vars(site).items():
        for method in vars(type(resource)):
            if not name.startswith("_") and not method.startswith("_") and method != "path":
                assert re.search(rf"\.{name}\.{method}\(", written), f"site.{name}.{method} is called by no test"
