"""Recipes: what a training round does, as a TOML file read into frozen dataclasses.

A recipe has one section a stage, in the round's order; a section that is left out is a stage that is not run.
A key that is unknown, missing or impossible is a `RecipeError` that names the file, the stage and the key.
Nothing is known here of TRL's names (see `training.pipeline`), of rows or of devices.
"""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

RECIPES = Path(__file__).parent.parent / "recipes"

Strength = Literal["negligibly_better", "slightly_better", "better", "significantly_better"]


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names the file, the stage, the key and the remedy."""


def _number(
    default: Any = dataclasses.MISSING,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A field with bounds; without a default the key must be in the file."""
    bounds = {"above": above, "least": least, "most": most}
    return field(default=default, metadata=bounds)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One stage's values."""

    stage: ClassVar[str]

    @classmethod
    def parse(cls, values: Any, *, source: str) -> Self:
        """Read one section, from TOML or from a `stage.json`; raises `RecipeError`."""
        where = f"{source}, [{cls.stage}]"
        if not isinstance(values, dict):
            raise RecipeError(f'{source}: "{cls.stage}" must be a section; write [{cls.stage}] on a line of its own.')
        fields = {each.name: each for each in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        for key in values:
            if key not in fields:
                raise RecipeError(f'{where}: unknown key "{key}". {_hint(key, fields)}')
        for name, each in fields.items():
            if each.default is dataclasses.MISSING and name not in values:
                raise RecipeError(f'{where}: "{name}" is missing; it has no default, so give it a value.')
        read = {key: _read(value, hints[key], f'{where}: "{key}"') for key, value in values.items()}
        for key, value in read.items():
            _check_bounds(value, fields[key].metadata, f'{where}: "{key}"')
        section = cls(**read)
        section.check(where)
        return section

    def check(self, where: str) -> None:
        """Refuse values that are fine alone and impossible together."""


@dataclass(frozen=True, kw_only=True)
class Training(Section):
    """What every stage that trains weights is told."""

    # "full" trains every weight, kept in 32 bits; "lora" trains adapters and merges them into the checkpoint.
    method: Literal["full", "lora"]
    learning_rate: float = _number(above=0, most=1)
    epochs: float = _number(above=0, most=100)
    batch: int = _number(least=1)  # rows (pairs, for preferences) per optimiser step
    micro_batch: int = _number(8, least=1)  # rows that are in memory together, on each device
    max_length: int = _number(least=16)  # tokens of prompt and completion; longer rows are dropped
    least_rows: int = _number(16, least=1)  # fewer and the stage refuses to train
    warmup_share: float = _number(0.03, least=0, most=1)
    least_warmup_steps: int = _number(5, least=0)
    end_share: float = _number(0.1, least=0, most=1)  # the cosine ends at this share of learning_rate
    weight_decay: float = _number(0.0, least=0)
    max_grad_norm: float = _number(1.0, above=0)
    gradient_checkpointing: bool = False  # saves memory, costs a third more time
    # Under method "full": whether the token embeddings, and the language-model head where it is tied to them, move.
    train_embeddings: bool = True
    lora_rank: int = _number(16, least=1)
    lora_alpha: float = _number(32.0, above=0)
    lora_dropout: float = _number(0.0, least=0, most=0.9)

    def check(self, where: str) -> None:
        if self.micro_batch > self.batch:
            raise RecipeError(
                f'{where}: "micro_batch" is {self.micro_batch}, more than "batch" ({self.batch}). '
                "Lower the one or raise the other."
            )


@dataclass(frozen=True, kw_only=True)
class PairTraining(Training):
    """What every stage that trains on preference pairs is told."""

    # The strongest pairs of a prompt come first; one prompt then cannot outweigh the others.
    max_pairs_per_prompt: int = _number(6, least=1)
    least_strength: Strength = "negligibly_better"


@dataclass(frozen=True, kw_only=True)
class RewardModel(PairTraining):
    """Bradley-Terry on the pairs, from the policy with its head replaced by a scalar."""

    stage: ClassVar[str] = "reward_model"
    margins: bool = True  # -log sigmoid(r_chosen - r_rejected - margin), as Llama 2 does
    center_rewards: float = _number(0.0, least=0)  # weight of (r_chosen + r_rejected)^2


@dataclass(frozen=True, kw_only=True)
class Sampling(Section):
    """What every stage that lets a policy write is told."""

    temperature: float = _number(1.0, least=0, most=2)
    top_p: float = _number(1.0, above=0, most=1)
    max_tokens: int = _number(least=1)
    max_model_len: int = _number(1024, least=16)

    def check(self, where: str) -> None:
        if self.max_tokens >= self.max_model_len:
            raise RecipeError(
                f'{where}: "max_tokens" is {self.max_tokens}, which leaves no room for a prompt in '
                f'"max_model_len" ({self.max_model_len}). Raise the latter.'
            )


@dataclass(frozen=True, kw_only=True)
class RejectionSampling(Sampling):
    """K candidates for each prompt, scored by the reward model; the best is kept."""

    stage: ClassVar[str] = "rejection_sampling"
    candidates: int = _number(least=2)
    micro_batch: int = _number(32, least=1)  # candidates that the reward model reads together
    # Candidates that max_tokens cut off are never kept: they teach a policy to stop in mid-sentence.
    finished_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Sft(Training):
    """Fine-tuning on what rejection sampling kept; the loss is on the kept completion alone."""

    stage: ClassVar[str] = "sft"


@dataclass(frozen=True, kw_only=True)
class Dpo(PairTraining):
    """Direct preference optimisation; the reference is the policy at the start of the stage."""

    stage: ClassVar[str] = "dpo"
    beta: float = _number(0.1, above=0)
    sft_weight: float = _number(0.0, least=0)  # weight of Llama 3's NLL term on the chosen completion


@dataclass(frozen=True, kw_only=True)
class Evaluate(Sampling):
    """The new policy against the old one, on the eval prompts."""

    stage: ClassVar[str] = "evaluate"
    n: int = _number(1, least=1)  # completions of each prompt by each policy, compared index by index
    judge: Literal["simulated", "reward_model"]
    resamples: int = _number(10_000, least=100)  # of the bootstrap


@dataclass(frozen=True, kw_only=True)
class Gate(Section):
    """What must hold before the new policy is published; a condition that is left out is not asked."""

    stage: ClassVar[str] = "gate"
    min_win_rate_low: float | None = _number(None, least=0, most=1)
    min_win_rate: float | None = _number(None, least=0, most=1)
    min_length_ratio: float | None = _number(None, least=0)
    max_length_ratio: float | None = _number(None, above=0)

    def check(self, where: str) -> None:
        if all(value is None for value in dataclasses.astuple(self)):
            raise RecipeError(f'{where}: no condition. Give at least one, such as "min_win_rate_low = 0.5".')


SECTIONS: dict[str, type[Section]] = {
    section.stage: section for section in (RewardModel, RejectionSampling, Sft, Dpo, Evaluate, Gate)
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole round."""

    name: str
    description: str = ""
    reward_model: RewardModel | None = None
    rejection_sampling: RejectionSampling | None = None
    sft: Sft | None = None
    dpo: Dpo | None = None
    evaluate: Evaluate | None = None
    gate: Gate | None = None

    @property
    def stages(self) -> list[str]:
        """The stages that this round runs, in order. The gate is none: it trains and samples nothing."""
        return [stage for stage in SECTIONS if stage != Gate.stage and getattr(self, stage) is not None]

    def resolved(self) -> dict[str, Any]:
        """Every value that will be used, as plain data; `from_dict` reads it again."""
        content = dataclasses.asdict(self)
        return {key: value for key, value in content.items() if value is not None}


def load(path_or_name: str | Path) -> Recipe:
    """Read a TOML file, or one of the recipes that come with the project by its name."""
    path = Path(path_or_name)
    if not path.suffix:
        path = RECIPES / f"{path_or_name}.toml"
        if not path.is_file():
            known = sorted(each.stem for each in RECIPES.glob("*.toml"))
            raise RecipeError(
                f'There is no recipe "{path_or_name}". {_hint(str(path_or_name), known)} '
                "A file of your own is given by its path, ending in .toml."
            )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    return parse(text, name=path.stem, source=path.name)


def parse(text: str, name: str, *, source: str | None = None) -> Recipe:
    """Read a recipe's TOML; `source` is what errors call it."""
    source = source or f"{name}.toml"
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source} is not TOML: {error}.") from None
    return from_dict({"name": name} | content, source=source)


def from_dict(content: dict[str, Any], *, source: str) -> Recipe:
    """Read a recipe from plain data: parsed TOML, or what `resolved` returned."""
    read: dict[str, Any] = {}
    for key, value in content.items():
        if key in ("name", "description"):
            read[key] = _read(value, str, f'{source}: "{key}"')
        elif key in SECTIONS:
            read[key] = SECTIONS[key].parse(value, source=source)
        else:
            raise RecipeError(f'{source}: unknown section "{key}". {_hint(key, SECTIONS)}')
    recipe = Recipe(**read)
    _check_together(recipe, source)
    return recipe


# Each line: a stage, what it needs, and why.
NEEDS = (
    ("rejection_sampling", ("reward_model",), "it scores the candidates"),
    ("rejection_sampling", ("sft",), "it trains on what is kept"),
    ("sft", ("rejection_sampling",), "it writes the rows to train on"),
    ("evaluate", ("sft", "dpo"), "there is no new policy to compare without one"),
    ("gate", ("evaluate",), "it measures what the gate asks for"),
)


def _check_together(recipe: Recipe, source: str) -> None:
    if not recipe.stages:
        raise RecipeError(f"{source} has no stage. Add a section, such as [dpo].")
    for stage, needed, why in NEEDS:
        if getattr(recipe, stage) is not None and all(getattr(recipe, other) is None for other in needed):
            others = " or ".join(f"[{other}]" for other in needed)
            raise RecipeError(f"{source}, [{stage}] needs {others}: {why}. Add the section or leave this one out.")
    if recipe.evaluate and recipe.evaluate.judge == "reward_model" and recipe.reward_model is None:
        raise RecipeError(
            f'{source}, [evaluate]: "judge" is "reward_model", but no [reward_model] is trained. '
            'Add the section or choose "simulated".'
        )


def _read(value: Any, hint: Any, where: str) -> Any:
    """Check a TOML value against a field's type. Whole numbers are fine as floats; true is not a number."""
    if typing.get_origin(hint) is types.UnionType:
        # Only "float | None" occurs: TOML itself has no null, but the resolved form in JSON has.
        return None if value is None else _read(value, typing.get_args(hint)[0], where)
    if typing.get_origin(hint) is Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            raise RecipeError(f"{where} is {value!r}; it must be one of {', '.join(map(repr, allowed))}.")
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if type(value) is not hint:
        kinds = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise RecipeError(f"{where} is {value!r}; it must be {kinds[hint]}.")
    return value


def _check_bounds(value: Any, bounds: typing.Mapping[str, float | None], where: str) -> None:
    if value is None or not bounds:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where} is {value}; it must be a finite number.")
    for name, fails, words in (
        ("above", lambda limit: value <= limit, "above"),
        ("least", lambda limit: value < limit, "at least"),
        ("most", lambda limit: value > limit, "at most"),
    ):
        limit = bounds.get(name)
        if limit is not None and fails(limit):
            raise RecipeError(f"{where} is {value}; it must be {words} {limit:g}.")


def _hint(key: str, known: typing.Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f'Did you mean "{close[0]}"?' if close else f"There are: {', '.join(known)}."
