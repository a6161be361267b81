"""Run directories as the programs leave them, written by hand: what the pages of a round are tested with.

That the programs write these very figures is held to in tests/training/pipeline/test_what_pages_read.py.
"""

import json
import math
from datetime import timedelta

from django.utils import timezone

from sampling.engine import run_dir as files
from sampling.engine import timings
from sampling.long_tasks import TaskState
from training.models import Stage, StageKind, StageState

PROMPTS = [
    [{"role": "user", "content": question}]
    for question in ("What is jam?", "Name a <b>bold</b> colour.", "How do tides work?", "Tell me a short story.")
]
LENGTHS = {"rows": 420, "min": 4, "median": 61, "p95": 190, "max": 640}
RESULTS = {
    StageKind.CHECK: {
        "rows": 440,
        "problems": [],
        "warnings": ["12 of 40 eval prompts have no reference answer."],
        "tokenizer": {
            "chat_template": True, "assistant_mask": True, "end_token": "<|im_end|>", "ends_with_end_token": True,
        },
        "lengths": {
            name: LENGTHS | {"histogram": [[32, 90], [64, 140], [128, 120], [256, 58], [512, 10], [1024, 2]]}
            for name in ("prompt", "completion", "conversation")
        },
        "stages": {
            "reward_model": {
                "rows": 388, "dropped": {"too_long": 7, "identical": 5}, "steps": 98, "warmup_steps": 5, "batch": 4,
                "micro_batch": 2, "accumulation": 2,
            },
            "dpo": {
                "rows": 380, "dropped": {"too_long": 20}, "steps": 95, "warmup_steps": 5, "batch": 512,
                "micro_batch": 8, "accumulation": 64,
            },
        },
        "memory_bytes": 3_200_000_000,
        "memory_free_bytes": 14_000_000_000,
    },
    StageKind.REWARD_MODEL: {
        "pairs_train": 388, "pairs_eval": 96, "dropped": {"too_long": 7, "identical": 5},
        "dropped_eval": {"too_long": 1},
        "accuracy": 0.68, "accuracy_low": 0.58, "accuracy_high": 0.77, "first_loss": 0.7, "final_loss": 0.55,
        "by_strength": [
            {"strength": "significantly_better", "pairs": 20, "accuracy": 0.9, "low": 0.74, "high": 1.0},
            {"strength": "better", "pairs": 34, "accuracy": 0.7, "low": 0.55, "high": 0.83},
            {"strength": "slightly_better", "pairs": 30, "accuracy": 0.6, "low": 0.43, "high": 0.76},
            {"strength": "negligibly_better", "pairs": 12, "accuracy": 0.5, "low": 0.22, "high": 0.78},
        ],
        "length_baseline": {"accuracy": 0.61, "low": 0.51, "high": 0.7},
        "best": "/data/rounds/older/2-reward_model/checkpoint",
        "best_is_new": False,
        "rivals": [
            {"location": "/data/rounds/older/2-reward_model/checkpoint", "accuracy": 0.71, "low": 0.6, "high": 0.8},
        ],
    },
    StageKind.REJECTION_SAMPLING: {
        "prompts": 200, "candidates": 1600, "kept": 171, "dropped": {"all_alike": 24, "none_finished": 5},
        "mean_score_all": 0.11, "mean_score_kept": 0.84, "temperature": 1.2, "from_earlier_rounds": 37,
        "scores_cached": 812,
        "sweep": [
            {"temperature": 0.8, "mean_best_score": 0.61, "mean_score": 0.18, "all_alike": 19},
            {"temperature": 1.2, "mean_best_score": 0.84, "mean_score": 0.11, "all_alike": 3},
        ],
    },
    StageKind.SFT: {"rows": 169, "dropped": {"too_long": 2}, "final_loss": 1.25, "resumed_at": 40},
    StageKind.DPO: {
        "pairs": 380, "dropped": {"too_long": 20}, "first_loss": 0.6931, "final_loss": 0.41, "reference_cached": True,
        "resumed_at": None,
    },
    StageKind.EVALUATE: {
        "prompts": 40, "judge": "reward_model", "win_rate": 0.64, "win_rate_low": 0.55, "win_rate_high": 0.73,
        "length_controlled_win_rate": 0.52, "mean_tokens_new": 84.0, "mean_tokens_old": 55.0, "mean_tokens_base": 50.0,
        "finished_new": 0.75, "finished_old": 0.5, "kl_to_old": 0.12, "wins": 24, "ties": 3, "losses": 13,
        "matches": [
            {
                "opponent": opponent, "name": name, "judge": judge, "independent": independent, "win_rate": rate,
                "low": rate - 0.09, "high": rate + 0.09, "wins": 24, "ties": 3, "losses": 13,
                "length_controlled_win_rate": rate - 0.12, "length_controlled_low": rate - 0.22,
                "length_controlled_high": rate - 0.02, "mean_tokens_new": 84.0, "mean_tokens_opponent": 55.0,
            }
            for opponent, name, judge, independent, rate in (
                ("old", "base", "reward_model", True, 0.64), ("old", "base", "reward_selector", False, 0.9),
                ("base", "smollm2", "simulated", True, 0.7),
            )
        ],
        "ratings": [
            {"name": "smollm2", "rating": 0.0, "low": 0.0, "high": 0.0},
            {"name": "r0-dpo", "rating": 61.0, "low": 20.0, "high": 104.0},
            {"name": "r1-dpo", "rating": 140.0, "low": 92.0, "high": 195.0},
        ],
    },
    StageKind.HARNESS: {
        "perplexity_new": 21.4, "perplexity_old": 20.1, "perplexity_ratio": 1.065, "text": "plain prose",
        "tasks": [
            {
                "task": "everyday", "metric": "acc", "new": 0.52, "new_stderr": 0.06, "old": 0.55, "old_stderr": 0.06,
                "drop_in_errors": 0.35, "examples": 60,
            },
            {
                "task": "sums", "metric": "acc", "new": 0.1, "new_stderr": 0.05, "old": 0.4, "old_stderr": 0.08,
                "drop_in_errors": 3.2, "examples": 40,
            },
        ],
        "largest_drop": 3.2,
    },
}  # fmt: skip


def result_of(kind: str) -> dict:
    return RESULTS.get(StageKind(kind), RESULTS[StageKind.SFT])


STEPS = 60
PROBE_STEPS = (12, 24, 36, 48, 60)  # four probes, spread over the stage, and its last step


def curves(steps: int = STEPS, *, falls: float = 0.2) -> list[dict]:
    """DPO's figures: the margin grows, and by the end the chosen log-probability has fallen by ``falls`` a token."""
    rows = []
    for row in _trained(steps, probed=True):
        share = row["step"] / steps
        change = -falls * share * 50  # nats a completion of 50 tokens
        rows.append(
            row
            | {
                "entropy": 2.1, "mean_token_accuracy": 0.5, "pairs": 8.0, "padding": 0.0,
                "rewards/chosen": 0.1 * change, "rewards/rejected": 0.1 * 2 * change, "rewards/margins": -0.1 * change,
                "rewards/accuracies": 0.5 + 0.3 * share, "logps/chosen": -60 + change,
                "logps/rejected": -62 + 2 * change, "chosen_tokens": 50.0, "rejected_tokens": 48.0,
            }
        )  # fmt: skip
    return rows


def curves_of_sft(steps: int = STEPS) -> list[dict]:
    """Fine-tuning's figures: more and more tokens are said right."""
    return [
        row | {"entropy": 2.1, "mean_token_accuracy": 0.5 + 0.2 * row["step"] / steps}
        for row in _trained(steps, probed=True)
    ]


def curves_of_reward_model(steps: int = STEPS) -> list[dict]:
    """A reward model's figures: more and more pairs are ordered rightly. It answers nothing, so nobody probes it."""
    return [
        row
        | {
            "min_reward": -2.0, "mean_reward": 0.1, "max_reward": 2.2, "margin": row["step"] / steps,
            "accuracy": 0.5 + 0.3 * row["step"] / steps, "chosen_tokens": 90.0, "rejected_tokens": 88.0, "pairs": 8.0,
            "padding": 0.0,
        }
        for row in _trained(steps, probed=False)
    ]  # fmt: skip


def _trained(steps: int, *, probed: bool) -> list[dict]:
    """What every training stage logs, a row a step; the probes' figures stand only where there was a probe."""
    rows = []
    for step in range(1, steps + 1):
        share = step / steps
        rows.append(
            {
                "step": step, "loss": 0.6931 * math.exp(-share), "learning_rate": 1e-5 * (1 - 0.9 * share),
                "grad_norm": 2 + 0.2 * math.sin(step), "num_tokens": 400.0 * step, "memory_gb": 2.1,
                "tokens_per_second": 900 + 20 * math.cos(step),
            }
        )  # fmt: skip
        if probed and step in PROBE_STEPS:
            rows[-1] |= {"kl": _kl(step), "probe_tokens": float(_tokens(step)), "probe_repeats": 0.0}
    return rows


def lines(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def probe_rows(*steps: int) -> list[dict]:
    return [
        {
            "step": step, "index": index, "prompt": prompt, "tokens": _tokens(step), "kl": _kl(step),
            "text": f"At step {step} I say: jam is <i>fruit</i>.\nAnd sugar, number {index}.",
        }
        for step in steps
        for index, prompt in enumerate(PROMPTS[:2])
    ]  # fmt: skip


def _tokens(step: int) -> int:
    """Of each probe answer: a little more with every ten steps, and below the usual limit of 48."""
    return 12 + step // 10


def _kl(step: int) -> float:
    return 0.001 * step


def dropped_rows(count: int, *, stage: str = "dpo", reason: str = "too_long") -> list[dict]:
    return [
        {
            "stage": stage, "reason": reason, "prompt_id": str(1000 + number), "tokens": 70 + number, "limit": 64,
            "excerpt": f"Row {number} begins <b>so</b>",
        }
        for number in range(count)
    ]  # fmt: skip


def judged_rows(new: str = "Boiled fruit.") -> list[dict]:
    """As an evaluation of two matches writes them: the first judge's over the old policy first."""
    rows = [
        {
            "prompt_id": str(number), "index": 0, "prompt": prompt, "new": f"{new} ({number})",
            "old": f"Sure! Jam <b>is</b> number {number}.", "verdict": 1.0, "opponent": "old", "judge": "simulated",
        }
        for number, prompt in enumerate(PROMPTS)
    ]  # fmt: skip
    return rows + [row | {"opponent": "base", "old": "A base answer."} for row in rows]


def candidate_rows() -> list[dict]:
    """Three candidates of each prompt: the last one was cut off, and the scores of all are -1.5, -1.0 ... 4.0."""
    return [
        {
            "prompt_id": str(number), "index": index, "messages": prompt, "text": f" Jam <u>{number}</u>, {index}.\n",
            "tokens": 10 * (index + 1), "score": -1.5 + 0.5 * (3 * number + index),
            "finish_reason": "length" if index == 2 else "stop",
        }
        for number, prompt in enumerate(PROMPTS)
        for index in range(3)
    ]  # fmt: skip


def kept_rows() -> list[dict]:
    """The second of each prompt's; of the last prompt one of an earlier round."""
    own = [row for row in candidate_rows() if row["index"] == 1][:-1]
    rows = [
        {
            "prompt_id": row["prompt_id"], "score": row["score"], "source": "",
            "messages": [*row["messages"], {"role": "assistant", "content": row["text"].strip()}],
        }
        for row in own
    ]  # fmt: skip
    earlier = [*PROMPTS[3], {"role": "assistant", "content": "Of an earlier round."}]
    return [*rows, {"prompt_id": "3", "score": 5.0, "source": "/data/candidates.jsonl", "messages": earlier}]


def completion_rows(*, cut_off: int) -> list[dict]:
    """The completions behind ``judged_rows``, of which the first ``cut_off`` reached the limit."""
    return [
        {
            "prompt_id": str(number), "index": 0, "text": "", "tokens": 80,
            "finish_reason": "length" if number < cut_off else "stop",
        }
        for number in range(len(PROMPTS))
    ]  # fmt: skip


def metrics_of(kind: str, *, falls: float = 0.2) -> list[dict]:
    """What a stage of that kind has logged by its end; nothing where it trains nothing."""
    match kind:
        case "dpo":
            return curves(falls=falls)
        case "sft" | "demonstrations":
            return curves_of_sft()
        case "reward_model" | "judge_model":
            return curves_of_reward_model()
        case _:
            return []


def finish_stage(stage: Stage, *, falls: float = 0.2, new: str = "Boiled fruit.") -> None:
    """The stage with all that its program leaves behind."""
    folder = stage.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files.LOG).write_text(f"stage {stage.kind} begins\nstage {stage.kind} ends\n")
    if metrics := metrics_of(stage.kind, falls=falls):
        lines(folder / files.METRICS, metrics)
        (folder / "tensorboard").mkdir(exist_ok=True)
    if stage.kind in ("demonstrations", "sft", "dpo"):
        lines(folder / "probes.jsonl", probe_rows(0, *PROBE_STEPS))
    if stage.kind == "check":
        lines(folder / "dropped.jsonl", [*dropped_rows(20), *dropped_rows(7, stage="reward_model")])
    if stage.kind == "dpo":
        lines(folder / "dropped.jsonl", dropped_rows(20))
    if stage.kind == "evaluate":
        lines(folder / "judged.jsonl", judged_rows(new))
        lines(folder / "completions_old.jsonl", completion_rows(cut_off=2))
        lines(folder / "completions_new.jsonl", completion_rows(cut_off=1))
    if stage.kind == "rejection_sampling":
        lines(folder / "candidates.jsonl", candidate_rows())
        lines(folder / "kept.jsonl", kept_rows())
    now = timezone.now()
    times(stage, now.timestamp() - 240, 240)
    stage.move_to(StageState.RUNNING, started_at=now - timedelta(minutes=4))
    stage.move_to(StageState.FINISHED, finished_at=now, result=result_of(stage.kind))


def times(stage: Stage, began: float, seconds: float, *, has_ended: bool = True) -> None:
    """So many seconds of a stage, of which a tenth is spent on starting, a tenth on loading, and the rest on work."""
    events = [
        {"at": began, "phase": "starting Python", "attempt": 1},
        {"at": began + 0.1 * seconds, "phase": "loading"},
        {"at": began + 0.2 * seconds, "phase": "training"},
    ]
    lines(stage.run_dir / timings.TIMINGS, events + [{"at": began + seconds, "phase": None}] * has_ended)


def run_stages(round, *, until: str = "", falls: float = 0.2, new: str = "Boiled fruit.") -> None:
    """Finish the stages in order; the one named ``until`` is left running, in the middle."""
    round.take()
    timings.begin_attempt(round.run_dir, "stages")
    for stage in round.stages.order_by("position"):
        stage.round = round
        if stage.kind != until:
            finish_stage(stage, falls=falls, new=new)
            continue
        stage.move_to(StageState.RUNNING, started_at=timezone.now() - timedelta(minutes=2))
        lines(stage.run_dir / files.METRICS, metrics_of(stage.kind, falls=falls)[:30])
        if stage.kind in ("demonstrations", "sft", "dpo"):
            lines(stage.run_dir / "probes.jsonl", probe_rows(0, 12, 24))
        (stage.run_dir / files.LOG).write_text("it trains\n")
        times(stage, timezone.now().timestamp() - 120, 120, has_ended=False)
        told = {"done": 30, "total": 60, "unit": "steps", "phase": "training"}
        (stage.run_dir / files.PROGRESS).write_text(json.dumps(told))
        return


def finish_round(round, policy=None, *, passed: bool = False, **how) -> None:
    """All stages, and a gate that said no, or yes."""
    run_stages(round, **how)
    reason = "Published: every condition holds." if passed else "Not published: the length ratio is 1.527."
    conditions = [
        {
            "name": "max_length_ratio", "words": "mean length, new policy to old", "value": 1.527, "relation": "<=",
            "threshold": 1.3, "passed": passed,
        }
    ]  # fmt: skip
    report = {"passed": passed, "reason": reason, "conditions": conditions}
    if policy:
        policy.published_at = timezone.now() if passed else None
        policy.save()
    round.end(TaskState.FINISHED, policy=policy, gate_report=report if policy else None, phase="")
