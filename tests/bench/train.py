"""Our training on whole rankings beside TRL's own trainers, in one run: `make bench-train`.

    make bench-train                                  # about a quarter of an hour on two quiet cores
    make bench-train QUICK=1                          # about three minutes: short texts, no ranking of nine
    make bench-train KINDS=dpo KS=4 LENGTH=240 STEPS=5
    make bench-train MODEL_SIZE=1b LENGTH=2048 SHAPES="prompt-heavy balanced completion-heavy" RANKINGS=4
                                                      # on a GPU: a random Llama of a billion weights
    make bench-train TRY='{"torch_compile": true, "pairs": 2}'   # TRL's best with these arguments, as one more

Three contenders (`tests.bench.train_contenders`) train DPO and the reward model on the same pairs in the same steps.
Each has a process of its own for each case and they take turns, step by step, so that whatever else the machine does
falls on all of them; the first step, in which the optimiser makes its state, is not counted. Prints, as medians with
the least and the most: seconds a step, pairs and tokens per second, padding, the most memory, and ours against the two
others: by steps alone, on the clock and by the time that they had the cores, which says more where the machine is busy;
and with what the reference's log-probabilities took beforehand, once in an epoch. What TRL as configured computes of
its reference is part of its steps.

Tokens are each contender's own, without padding: ours computes fewer. In the same run a small case in 32 bits compares
the loss and every gradient of a step. All three together take about 16 GB of memory. Writes var/bench/train.json.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sampling.engine import demo_model, openmp
from sampling.engine.run_dir import write_json
from tests.bench import train_cases
from tests.bench.reward_model import processor
from tests.bench.train_cases import Case
from tests.bench.train_rows import (
    BEST_TRL,
    CONTENDERS,
    OURS,
    TRL,
    Row,
    Step,
    Turns,
    as_json,
    heading,
    in_words,
    reached,
    show,
)

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("WHETSTONE_VAR", ROOT / "var"))
KINDS = ("dpo", "reward_model")
WARM_UP = 1
QUICK = {"length": 64, "shapes": ["balanced"], "ks": [2, 4]}


class Contender:
    """A process with a trainer in it, made when this is; it takes a step when it is asked."""

    def __init__(self, told: Any) -> None:
        from tests.bench.train_contenders import work

        self.told = told
        self.pipe, theirs = multiprocessing.get_context("forkserver").Pipe()
        self.process = multiprocessing.get_context("forkserver").Process(target=work, args=(theirs, told), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is seen here
        self.ready = self._answer()

    def step(self) -> Step:
        self.pipe.send("go")
        return Step(**self._answer())

    def end(self) -> dict[str, Any]:
        """What it held at most; then it is gone."""
        ended = self._answer()
        self.process.join()
        return ended

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            answer = {"failed": f"It ended with exit code {self.process.exitcode}."}
        if "failed" in answer:
            log = (self.told.folder / f"{self.told.contender}.log").read_text(errors="replace")
            sys.exit(f"{log[-3000:]}\nThe contender {self.told.contender} failed.\n{answer['failed']}")
        return answer


def measured(kind: str, case: Case, options: argparse.Namespace, words: Sequence[int]) -> Row:
    """Every contender on one case, step by step in turns; who begins changes with every step."""
    steps = train_cases.drawn(case, tuple(words), steps=WARM_UP + options.steps, seed=options.seed)
    with _contenders(kind, case, options, steps) as contenders:
        taken: dict[str, list[Step]] = {name: [] for name in contenders}
        for number in range(WARM_UP + options.steps):
            names = list(contenders)
            first = number % len(names)
            for name in [*names[first:], *names[:first]]:
                taken[name].append(contenders[name].step())
        return Row(kind, case, {name: _turns(each, taken[name]) for name, each in contenders.items()})


def _turns(contender: Contender, taken: Sequence[Step]) -> Turns:
    ready = contender.ready
    return Turns(
        steps=list(taken[WARM_UP:]),
        reference_seconds=ready["reference_seconds"] / len(taken),
        settings=ready["settings"],
        **contender.end(),
    )


def parity(kind: str, options: argparse.Namespace, words: Sequence[int]) -> Any:
    """The loss and the gradients of a step, ours beside TRL's, and TRL's beside its own with other settings."""
    from tests.bench.train_parity import Parity, compare

    case = train_cases.parity_case()
    steps = train_cases.drawn(case, tuple(words), steps=1, seed=options.seed)
    plain = argparse.Namespace(**vars(options) | {"tried": []})
    with _contenders(kind, case, plain, steps, with_gradients=True) as contenders:
        losses = {}
        for name, each in contenders.items():
            losses[name] = each.step().loss
            each.end()
        files = {name: each.told.gradients for name, each in contenders.items()}
        ours, itself = (
            compare(files[name], files[BEST_TRL], loss=losses[name], other_loss=losses[BEST_TRL])
            for name in (OURS, TRL)
        )
        return Parity(ours, itself, losses[BEST_TRL])


@contextlib.contextmanager
def _contenders(
    kind: str,
    case: Case,
    options: argparse.Namespace,
    steps: train_cases.Steps,
    *,
    with_gradients: bool = False,
) -> Iterator[dict[str, Contender]]:
    """Their processes, one started after another; none is left afterwards."""
    from tests.bench.train_contenders import Told

    found: dict[str, Contender] = {}
    with tempfile.TemporaryDirectory(prefix="whetstone-bench-") as folder:
        place = Path(folder)
        told = [Told(name, kind, case, options.model.resolve(), steps, place, options.seed) for name in CONTENDERS]
        told += [
            replace(told[0], contender=json.dumps(tried), tried=tried) for tried in options.tried
        ]  # TRL's best, with more
        try:
            for each in told:
                gradients = place / f"{each.contender}.safetensors" if with_gradients else None
                found[each.contender] = Contender(replace(each, gradients=gradients))
            yield found
        finally:
            for contender in found.values():
                contender.process.kill()
                contender.process.join()


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--ks", nargs="+", type=int, help="completions of a ranking; default: 2, 4 and 9")
    parser.add_argument("--shapes", nargs="+", choices=list(train_cases.SHAPES), help="default: all in DPO at K = 4")
    parser.add_argument("--length", type=int, help="tokens of a prompt with its completion; default: by K")
    parser.add_argument("--steps", type=int, default=3, help="that are measured, after one that is not")
    parser.add_argument("--rankings", type=int, help="of a step; default: by K")
    parser.add_argument("--quick", action="store_true", help="short texts, one shape, K = 2 and 4")
    parser.add_argument("--no-parity", action="store_true", help="do not compare gradients")
    parser.add_argument(
        "--try", dest="tried", nargs="*", type=json.loads, default=[],
        help="JSON: more arguments for TRL's best configuration, and pairs at once, as one more contender each",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--model", type=Path, default=VAR / "models" / "smollm2-135m-instruct")
    parser.add_argument("--model-size", choices=["demo", "1b"], default="demo", help="1b: random weights, for a GPU")
    parser.add_argument("--out", type=Path, default=VAR / "bench" / "train.json")
    options = parser.parse_args(argv)
    usual = QUICK if options.quick else {"shapes": [], "ks": [2, 4, 9]}
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def cases(kind: str, options: argparse.Namespace) -> list[Case]:
    found = train_cases.cases(kind, options.ks, length=options.length, shapes=options.shapes)
    return [replace(each, rankings=options.rankings) for each in found] if options.rankings else found


def prepare(options: argparse.Namespace) -> None:
    """Have the model there, and a server that forks processes in which all is imported already."""
    os.environ |= openmp.variables(os.environ) | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.bench.train_contenders"])
    if options.model_size == "1b":
        from tests.bench.train_models import billion

        options.model = billion(VAR / "models" / "random-llama-1b", tokenizer_of=options.model)
    elif not (options.model / "config.json").is_file():
        demo_model.unpack(options.model)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    if options.model_size == "1b":
        demo_model.unpack(options.model)  # for its tokens
    prepare(options)
    from tests.bench import train_flops

    peak, words = train_flops.peak(), train_cases.words_of(options.model)
    print(f"{options.model.name}, {processor()}.\n\n{heading(peak)}")
    rows, same = [], {}
    for kind in options.kinds:
        for case in cases(kind, options):
            rows.append(measured(kind, case, options, words))
            print(show(rows[-1], peak), flush=True)
        if not options.no_parity:
            same[kind] = parity(kind, options, words)
    print()
    for kind, each in same.items():
        print(f"{kind} in 32 bits, ours beside TRL's: {in_words(each.ours)}")
        print(f"{kind} in 32 bits, TRL's beside itself: {in_words(each.trl_itself)}")
        print(f"{kind} the same: {'yes' if each.holds else 'no (!)'}")
    targets = reached(rows)
    for target, is_reached in targets.items():
        print(f"{target}: {'not measured' if is_reached is None else 'yes' if is_reached else 'no (!)'}")
    told = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out,
        {
            "processor": processor(),
            "options": told,
            "rows": [as_json(row, peak) for row in rows],
            "parity": {kind: asdict(each) | {"holds": each.holds} for kind, each in same.items()},
            "targets": targets,
        },
    )
    print(f"\nWritten to {options.out}")


if __name__ == "__main__":
    main()
