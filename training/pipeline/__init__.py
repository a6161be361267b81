"""The machine-learning programs of a round: one module for each stage, started with a run directory. No Django."""

import logging

# peft imports bitsandbytes where it is installed, and that tells every program's log that a kernel for inference, which
# it would have fetched from a hub, is missing. QLoRA does not use it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
