"""Prompts and completions as others write them: a text, a list of turns, a transcript; under many names of roles."""

import re
from collections.abc import Mapping
from typing import Any

from sampling.intake.formats.values import scalar_as_text
from sampling.intake.records import Message
from sampling.json_lines import Unusable, check_storable, kind, shorten, text

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_TOOL_ROLES = ("tool", "function", "observation", "function_call", "ipython")
_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):")
_FIRST_SPEAKER = re.compile(r"\A\s*(Human|Assistant):")


def conversation(value: Any, name: str, *, may_end_empty: bool = False) -> list[Message]:
    """Turns under our roles; only the first may be the system's, and an empty one is left out. Raises Unusable.

    ``may_end_empty``: the last one may be an assistant's that said nothing.
    """
    if not isinstance(value, list) or not value:
        raise Unusable(f'"{name}" is {kind(value)}; it must be a list of {{"role", "content"}} that is not empty.')
    turns = [_turn(turn, f"{name}[{position}]") for position, turn in enumerate(value)]
    if turns[0]["role"] == "system" and not turns[0]["content"].strip():
        del turns[0]
    for position, turn in enumerate(turns):
        if turn["role"] == "system" and position > 0:
            raise Unusable(f'"{name}[{position}]" is a system message; only the first message may be one.')
        says_nothing = may_end_empty and position + 1 == len(turns) and turn["role"] == "assistant"
        if not turn["content"].strip() and not says_nothing:
            raise Unusable(f'"{name}" has an empty message of the {turn["role"]}. Leave the message or the row out.')
    return turns


def _turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, dict):
        raise Unusable(f'"{name}" is {kind(turn)}; it must be an object with "role" and "content".')
    written = turn["role"] if "role" in turn else turn.get("from")
    role = ROLES.get(written.strip().lower()) if isinstance(written, str) else None
    if role is None:
        if written in _TOOL_ROLES:
            raise Unusable(f'"{name}" is of a tool ({written}). Conversations with tools cannot be read: leave it out.')
        raise Unusable(f'"{name}.role" is unknown ({shorten(repr(written))}); it must be system, user or assistant.')
    return {"role": role, "content": _content(turn["content"] if "content" in turn else turn.get("value"), name)}


def _content(value: Any, name: str) -> str:
    """A message's text, also where it is written in parts; pictures and the like cannot be read."""
    if isinstance(value, list):
        value = "".join(_part(part, name) for part in value)
    if not isinstance(value, str):
        raise Unusable(f'"{name}.content" is {kind(value)}; it must be text.')
    check_storable(value, f"{name}.content")
    return value


def _part(part: Any, name: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") == "text":
        written = part["text"] if "text" in part else part.get("value")
        if isinstance(written, str):
            return written
    raise Unusable(f'"{name}.content" has a part that is no text. Only text can be read: leave the row out.')


def prompt(value: Any, name: str = "prompt", *, system: Any = None) -> tuple[Message, ...]:
    """What is to be answered: one text, or turns of which the last is the user's."""
    turns = conversation(value, name) if isinstance(value, list) else [{"role": "user", "content": text(value, name)}]
    return answerable(with_system(turns, system), name)


def with_system(turns: list[Message], system: Any) -> list[Message]:
    if system is None or (isinstance(system, str) and not system.strip()):
        return turns
    if turns[0]["role"] == "system":
        raise Unusable('The row has "system" and a system message in its conversation; give one.')
    return [{"role": "system", "content": text(system, "system")}, *turns]


def answerable(turns: list[Message], name: str) -> tuple[Message, ...]:
    if not turns or turns[-1]["role"] != "user":
        last = turns[-1]["role"] if turns else "nobody"
        raise Unusable(
            f'The last message of "{name}" is from "{last}"; it must be the user\'s, which the model answers. '
            "Cut the conversation there, or give the answer as a completion."
        )
    return tuple(turns)


def completion(value: Any, name: str) -> str:
    """What was answered: a text, one message of the assistant, or a list of one. As `answer`, it may be empty."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return answer(value, name)
    if len(value) != 1:
        raise Unusable(f'"{name}" has {len(value)} messages; a completion is one, of the assistant.')
    return answer_of(conversation(value, name, may_end_empty=True), name)


def answer(value: Any, name: str) -> str:
    """One text; a number or a truth value is read as JSON writes it.

    It may be empty: that is what a model said, and somebody judged it. `preferences.record` refuses one that stands
    alone.
    """
    value = scalar_as_text(value)
    if isinstance(value, str) and not value.strip():
        check_storable(value, name)
        return value
    return text(value, name)


def answer_of(turns: list[Message], name: str) -> str:
    """The last turn, which must be the assistant's."""
    if not turns or turns[-1]["role"] != "assistant":
        last = turns[-1]["role"] if turns else "nobody"
        raise Unusable(f'The last message of "{name}" is from "{last}"; it must be the assistant\'s answer.')
    return turns[-1]["content"]


def exchange(value: Any, name: str, *, system: Any = None) -> tuple[tuple[Message, ...], str]:
    """(prompt, completion) of a whole conversation, of which the assistant's last turn is the completion."""
    turns = with_system(conversation(value, name, may_end_empty=True), system)
    last = answer_of(turns, name)
    return answerable(turns[:-1], name), last


def is_transcript(value: Any) -> bool:
    return isinstance(value, str) and bool(_FIRST_SPEAKER.match(value))


def transcript(value: str, name: str, *, may_end_empty: bool = False) -> list[Message]:
    r"""Turns of "\n\nHuman: ...\n\nAssistant: ..."; an empty last one of the assistant is what is to be answered.

    ``may_end_empty``: that one is the answer of an assistant that said nothing.
    """
    check_storable(value, name)
    pieces = _TRANSCRIPT.split("\n\n" + value.lstrip())
    turns = [
        {"role": "user" if speaker == "Human" else "assistant", "content": said.strip()}
        for speaker, said in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    end = [turns.pop()] if turns and turns[-1]["role"] == "assistant" and not turns[-1]["content"] else []
    for turn in turns:
        if not turn["content"]:
            raise Unusable(f'"{name}" has an empty turn of the {turn["role"]}. Leave the row out.')
    return turns + end if may_end_empty else turns


def instruction(row: Mapping[str, Any], name: str = "instruction") -> str:
    """An instruction with its input below it, as LLaMA-Factory joins them."""
    given = row.get("input")
    if not isinstance(given, str) or not given.strip():
        return text(row.get(name), name)
    return f"{text(row.get(name), name)}\n{text(given, 'input')}"
