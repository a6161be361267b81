"""Candidates of earlier rounds, to choose from once more: without them a policy forgets what it could do.

Llama 2 found so from its third version on, and pooled the top samples of all earlier ones (arXiv 2307.09288, section
3.2.3). Whoever names the files has left out what is held out by now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sampling.engine.run_dir import RunDirError
from training.pipeline.completions import Completion, Prompt, key_of
from training.pipeline.preferences import Messages, read_rows


@dataclass(frozen=True)
class Earlier:
    """A completion that an earlier round sampled, for a prompt of this round or one that only it had."""

    prompt: Prompt
    completion: Completion
    source: str


def read_earlier(paths: Iterable[str], prompts: Sequence[Prompt]) -> list[Earlier]:
    """Read `candidates.jsonl` of earlier rounds, the newest first; what was said twice is taken once.

    Prompts are the same when their messages are; one that this round has too is this round's.
    """
    known = {key_of(prompt.messages): prompt for prompt in prompts}
    ids = {prompt.id for prompt in prompts}
    said: set[tuple[str, str]] = set()
    found = []
    for path in reversed(list(paths)):
        for number, row in read_rows(path):
            messages = _messages(row, f"{path}, line {number}")
            key = key_of(messages)
            if key not in known:
                known[key] = Prompt(_free_id(str(row["prompt_id"]), ids), messages)
            if (key, row["text"]) not in said:
                said.add((key, row["text"]))
                found.append(Earlier(known[key], _completion(row, known[key]), str(path)))
    return found


def _messages(row: dict[str, Any], where: str) -> Messages:
    if not isinstance(row.get("messages"), list) or not isinstance(row.get("text"), str):
        raise RunDirError(
            f'{where} is no candidate with its prompt: it needs "messages" and "text". Sample that round again, or set '
            'pool to "this_round" in the recipe.'
        )
    return row["messages"]


def _free_id(wanted: str, ids: set[str]) -> str:
    """The id that the prompt had, or one like it where another prompt has it now."""
    while wanted in ids:
        wanted += "'"
    ids.add(wanted)
    return wanted


def _completion(row: dict[str, Any], prompt: Prompt) -> Completion:
    return Completion(
        prompt_id=prompt.id,
        index=int(row["index"]),
        text=row["text"],
        tokens=int(row.get("tokens", 0)),
        finish_reason=str(row["finish_reason"]),
    )
