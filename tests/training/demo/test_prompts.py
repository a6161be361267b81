"""The demo's own prompts: enough of them, varied, and no eval prompt that training has nearly seen."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

import training

PROMPTS = Path(training.__file__).parent / "demo" / "prompts.jsonl"
KINDS = {"question", "explanation", "rewriting", "list", "advice", "story"}


@pytest.fixture(scope="module")
def prompts():
    return [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]


def said(prompt):
    return " ".join(m["content"] for m in prompt["messages"])


def bag(text):
    return set("".join(c if c.isalnum() else " " for c in text.lower()).split())


def test_there_are_enough_prompts_and_a_quarter_is_held_out(prompts):
    splits = Counter(prompt["split"] for prompt in prompts)
    assert set(splits) == {"train", "eval"}
    assert len(prompts) >= 184
    assert splits["eval"] >= max(48, len(prompts) / 4)


def test_both_splits_have_every_kind_in_fair_share(prompts):
    counts = Counter((prompt["split"], prompt["metadata"]["kind"]) for prompt in prompts)
    assert set(counts) == set(itertools.product(("train", "eval"), KINDS))
    assert min(counts["eval", kind] for kind in KINDS) >= 8
    assert min(counts["train", kind] for kind in KINDS) >= 20


def test_every_prompt_is_a_chat_that_the_user_ends(prompts):
    for prompt in prompts:
        assert set(prompt) == {"messages", "split", "metadata"}
        roles = [message["role"] for message in prompt["messages"]]
        turns = roles[1:] if roles[0] == "system" else roles
        assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        assert all(m["content"] and m["content"] == m["content"].strip() for m in prompt["messages"])


@pytest.mark.parametrize("split", ["train", "eval"])
def test_each_split_has_system_messages_and_several_turns(prompts, split):
    rows = [prompt["messages"] for prompt in prompts if prompt["split"] == split]
    assert sum(row[0]["role"] == "system" for row in rows) / len(rows) > 0.1
    assert sum(row[0]["role"] != "system" and len(row) > 1 for row in rows) / len(rows) > 0.05


def test_prompts_are_short_enough_for_a_small_model(prompts):
    assert max(len(said(prompt).split()) for prompt in prompts) <= 90


def test_no_two_prompts_are_nearly_the_same(prompts):
    # Words shared over words in either: 1 for a duplicate; a shared instruction stays far below.
    for a, b in itertools.combinations(prompts, 2):
        one, other = bag(said(a)), bag(said(b))
        assert len(one & other) / len(one | other) < 0.5, (said(a), said(b))


def test_the_first_prompts_are_of_different_kinds(prompts):
    # So that a demo cut short, or a first look at the page, still shows a varied set.
    assert {prompt["metadata"]["kind"] for prompt in prompts[: len(KINDS)]} == KINDS
