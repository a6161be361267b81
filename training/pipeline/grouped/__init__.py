"""Training on whole rankings: each completion goes through the model once, and all its pairs enter the loss.

A ranking of K completions has up to K(K-1)/2 pairs that share K completions and one prompt. TRL computes each pair
alone: the prompt twice, a completion K - 1 times. A loss of pairs needs one number of each completion (its
log-probability, its reward), so computing that once gives the same loss and the same gradients. InstructGPT trained its
reward model so (arXiv 2203.02155, section 3.5); Llama 3 put a prompt and its responses into one row (arXiv 2407.21783,
section 4.1.3); no public trainer does it for DPO.

    rankings   pairs of token ids -> rankings; a ranking that memory cannot hold is cut, and loses no pair
    plan       rankings -> steps of whole rankings -> rows; how much of them is padding
    rows       what goes through the model at once, as tensors
    attention  a completion sees the prompt and itself, in a row that holds others too
    heads      log-probabilities or rewards at the completions, and nothing else of the vocabulary
    sharing    whether this architecture may share a prompt: asked at the start, by comparing numbers
    losses     of pairs, from one number of each completion
    trainer    what TRL's trainers do otherwise here
"""
