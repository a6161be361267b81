r"""Anthropic's HH-RLHF (github.com/anthropics/hh-rlhf): {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected"}.

Both sides are whole transcripts that part at the assistant's last turn; crowd workers wrote and judged them. Copies
that say the prompt apart, as a transcript that ends with "\n\nAssistant:", are read as well. Rows whose transcripts
part earlier, as some of the red-team set do, have no prompt that both sides answer, and are told.
"""

from collections.abc import Iterator

from sampling.intake.formats.conversations import answer, answer_of, answerable, is_transcript, transcript
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row
from sampling.intake.formats.preferences import FIRST, metadata_of, record, split_of
from sampling.intake.formats.values import PROMPT_FIELDS, kept
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable


def is_row_of_transcripts(row: Row) -> bool:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        return False
    return is_transcript(row.get("prompt")) or (is_transcript(chosen) and is_transcript(rejected))


def reads(row: Row) -> Iterator[Record]:
    chosen, rejected = (answer(row.get(side), side) for side in ("chosen", "rejected"))
    if is_transcript(row.get("prompt")):
        messages = answerable(transcript(row["prompt"], "prompt"), "prompt")
        good, bad = chosen.strip(), rejected.strip()
    else:
        messages, good, bad = _parted(
            transcript(chosen, "chosen", may_end_empty=True), transcript(rejected, "rejected", may_end_empty=True)
        )
    judgment = FoundJudgment(
        FIRST,
        by=JudgedBy.PERSON,
        source=kept(row, "prompt", "chosen", "rejected", "split", "metadata", *PROMPT_FIELDS),
    )
    completions = [FoundCompletion(good), FoundCompletion(bad)]
    yield record(messages, completions, [judgment], metadata=metadata_of(row), of_split=split_of(row))


def _parted(chosen, rejected):
    good, bad = answer_of(chosen, "chosen"), answer_of(rejected, "rejected")
    if chosen[:-1] != rejected[:-1]:
        raise Unusable(
            '"chosen" and "rejected" part before the last answer, so no prompt is answered by both. Leave the row out.'
        )
    return answerable(chosen[:-1], "chosen"), good, bad


FORMAT = Format(
    key="hh_rlhf",
    label="HH-RLHF",
    example=(
        r'{"chosen": "\n\nHuman: Is tea a drink?\n\nAssistant: Yes, it is.", '
        r'"rejected": "\n\nHuman: Is tea a drink?\n\nAssistant: No."}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=is_row_of_transcripts,
    reads=reads,
)
