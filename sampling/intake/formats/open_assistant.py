"""Open Assistant's conversation trees (github.com/LAION-AI/Open-Assistant, docs/data/schemas; arXiv 2304.07327):
{"message_tree_id", "prompt": {"message_id", "text", "role", "lang", "rank", "deleted", "replies": [...]}}.

One record for each of the user's messages that has at least two ranked replies: the path to it is the prompt, the
replies are ranked by "rank", 0 first, which the crowd's rankings were merged into. Replies without a rank are left
out. A tree without any gives its first message with the replies to it, unranked. Deleted messages count as not
there. A root message as a row, with "replies" but no tree around it, is read too.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import ROLES, answer
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row
from sampling.intake.formats.preferences import by_ranks, metadata_of, record, split_of
from sampling.intake.formats.values import kept, name_of, number
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Message, Record
from sampling.json_lines import Unusable, kind, shorten, text

_MOST_MESSAGES = 10_000  # of one tree: real ones have some dozens


def _root(row: Row) -> Any:
    tree = row.get("prompt")
    return tree if isinstance(tree, dict) else row


def recognises(row: Row) -> bool:
    root = _root(row)
    return isinstance(root.get("replies"), list) and "text" in root and "role" in root


def reads(row: Row) -> Iterator[Record]:
    root = _root(row)
    if _role(root, "prompt") != "user":
        raise Unusable("The tree does not begin with a message of the user. Leave it out.")
    shared = kept(row, only=("message_tree_id", "lang")) | kept(root, only=("lang",)) | metadata_of(row)
    found = 0
    for path, node, replies in _asked(root):
        ranked = [reply for reply in replies if reply.get("rank") is not None]
        if len(ranked) >= 2:
            found += 1
            yield _record(path, ranked, shared | kept(node, only=("message_id",)), split_of(row))
    if not found:
        path, node, replies = next(_asked(root))
        completions = _completions(replies)
        yield record(path, completions, metadata=shared | kept(node, only=("message_id",)), of_split=split_of(row))


def _asked(root: Row) -> Iterator[tuple[list[Message], Row, list[Row]]]:
    """Each of the user's messages: the path to it with it, the message, and the assistant's replies to it."""
    waiting: list[tuple[list[Message], Row]] = [([], root)]
    seen = 0
    while waiting:
        before, node = waiting.pop()
        seen += 1
        if seen > _MOST_MESSAGES:
            raise Unusable(f"The tree has more than {_MOST_MESSAGES:,} messages. Leave it out.")
        role = _role(node, "replies.role")
        path = [*before, {"role": role, "content": text(node.get("text"), "text")}]
        replies = _replies(node)
        if role == "user":
            yield path, node, [reply for reply in replies if _role(reply, "replies.role") == "assistant"]
        waiting += [(path, reply) for reply in reversed(replies)]


def _replies(node: Row) -> list[Row]:
    replies = node.get("replies")
    if replies is None:
        return []
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
        raise Unusable(f'"replies" is {kind(replies)}; it must be a list of messages.')
    return [reply for reply in replies if reply.get("deleted") is not True]


def _role(node: Any, name: str) -> str:
    written = node.get("role") if isinstance(node, dict) else None
    role = ROLES.get(written) if isinstance(written, str) else None
    if role not in ("user", "assistant"):
        raise Unusable(f'"{name}" is unknown ({shorten(repr(written))}); it must be prompter or assistant.')
    return role


def _completions(replies: list[Row]) -> list[FoundCompletion]:
    told = ("message_id", "lang", "synthetic", "review_result")
    return [
        FoundCompletion(
            answer(reply.get("text"), "text"), name_of(reply.get("model_name"), "model_name"), kept(reply, only=told)
        )
        for reply in replies
    ]


def _record(path: list[Message], ranked: list[Row], metadata: Row, of_split: str) -> Record:
    ranks = {at: number(reply["rank"], "rank") for at, reply in enumerate(ranked)}
    judgment = FoundJudgment(by_ranks(ranks), by=JudgedBy.VOTES, source=kept(metadata, only=("message_id",)))
    return record(path, _completions(ranked), [judgment], metadata=metadata, of_split=of_split)


FORMAT = Format(
    key="open_assistant",
    label="Open Assistant's trees",
    example=(
        '{"message_tree_id": "t1", "prompt": {"message_id": "m1", "text": "Hi", "role": "prompter", "lang": "en", '
        '"replies": [{"message_id": "m2", "text": "Hello!", "role": "assistant", "rank": 0, "replies": []}, '
        '{"message_id": "m3", "text": "Yes?", "role": "assistant", "rank": 1, "replies": []}]}}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
