"""What a reward model trains on, as tokens."""

from tests.tiny_models import tiny_tokenizer
from training.pipeline.grouped.tokens import for_rewards
from training.pipeline.preferences import Pair, Selection


def test_where_the_end_token_pads_something_of_each_completion_is_left_to_be_read():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = tokenizer.chat_template.replace("{% endgeneration %}{{ '\n' }}", "{% endgeneration %}")
    pair = Pair("p", [{"role": "user", "content": "Really?"}], "Yes", "Yes, sure", "better", 1.0)
    (tokens,) = for_rewards(Selection([pair], [1], []), tokenizer, margins="none").tokens
    # "Yes" is what both begin with. A classifier passes over the end behind it, and reads at its "s".
    assert tokenizer.decode(tokens.chosen) == "s<|im_end|>"
    assert tokenizer.decode(tokens.rejected) == "s, sure<|im_end|>"
