"""How often each annotator is right, estimated from nothing but who agrees with whom. No database here; needs numpy.

Dawid and Skene (1979, Applied Statistics 28, 20-28) by expectation-maximisation, for two classes and with one number
an annotator: "the first one is better" and "the second one is better" are the same question asked the other
way round, since which completion has the lower id means nothing. So one is right as often under both, no class is
likelier beforehand, and exchanging the two names changes no estimate (the "one-coin" model of Zhang et al. 2016,
JMLR 17).

Each annotator begins with PRIOR judgments, four right and one wrong: two who are right 76 to 84 times in 100 agree
p * p + (1 - p) * (1 - p) of the time, 63 to 73 times, as annotators of preferences do (Bai et al. 2022, arXiv
2204.05862; Ouyang et al. 2022, arXiv 2203.02155). It keeps an annotator of three judgments from being infallible, and
decides alone where nobody shares a pair.
"""

import numpy as np

PRIOR = (4.0, 1.0)  # right, wrong
ROUNDS = 200
CLOSE = 1e-7  # the change of an accuracy at which it ends
LOWEST, HIGHEST = 0.5, 0.99


def accuracies(pairs: np.ndarray, annotators: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """How often each annotator is right, 0.5 to 0.99: (annotators,).

    One entry a vote: ``pairs`` and ``annotators`` number them from 0, ``votes`` are +1 for the first of the pair and -1
    for the second; ties are left out.
    """
    if not len(votes):
        return np.empty(0)
    size, count = int(pairs.max()) + 1, int(annotators.max()) + 1
    votes = votes.astype(np.float64)
    given = np.bincount(annotators, minlength=count)
    # (pairs,) how probable it is that the first is better: to begin with, the share of the votes.
    belief = (1 + np.bincount(pairs, votes, size) / np.maximum(np.bincount(pairs, minlength=size), 1)) / 2
    found = np.full(count, np.nan)
    for _ in range(ROUNDS):
        right = np.bincount(annotators, np.where(votes > 0, belief[pairs], 1 - belief[pairs]), count)
        before, found = found, np.clip((right + PRIOR[0]) / (given + sum(PRIOR)), LOWEST, HIGHEST)
        if np.allclose(before, found, rtol=0, atol=CLOSE):
            break
        log_odds = np.bincount(pairs, votes * np.log(found / (1 - found))[annotators], size)
        belief = 1 / (1 + np.exp(-log_odds))
    return found
