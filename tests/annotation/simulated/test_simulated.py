"""The simulated annotators: each rule with its arithmetic, and that nothing degenerate wins."""

import itertools
import subprocess
import sys

import pytest

from annotation.simulated import annotators as simulated
from annotation.simulated.annotators import ANNOTATORS, Ranking, rank, verdict

CATS = [{"role": "user", "content": "Why do cats purr when they sit on your lap in the evening?"}]
GOOD = "Cats purr when they are calm, and a purr can also help them to heal."
BROKEN_OFF = "Cats purr when they are calm, and a purr can also help them to"
RAMBLING = " ".join(
    ["Cats purr when they are calm, and many also do so when you feed them."]
    + [f"In house {word} the cat will purr for you." for word in ("one", "two", "six", "ten", "red", "old")]
)
DEGENERATE = {
    "nothing": "",
    "white space": " \n\n ",
    "one word": "Purr.",
    "a stub": "Cats purr.",
    "another subject": "The train to the city is late again, and the people are not happy about that.",
    "the prompt again": CATS[0]["content"],
    "a loop": "Cats purr because cats purr. " * 6,
    "heaped-up names": "Cats, purring, lap, evening, kitten, whiskers, warmth, sofa, comfort, sleep, milk.",
    "gibberish": "Purromatiske Katten zwordscirken rakui, akakimachud mysz edadušim Pomplonshite purrengelo.",
}


def scores(messages, text):
    return {name: annotator.score(messages, text) for name, annotator in ANNOTATORS.items()}


def test_there_are_three_annotators_and_one_of_them_errs():
    assert list(ANNOTATORS) == ["sim-brief", "sim-plain", "sim-noisy"]
    assert [annotator.error_rate for annotator in ANNOTATORS.values()] == [0, 0, 0.25]
    assert all(annotator.name == name and annotator.statement for name, annotator in ANNOTATORS.items())


def test_a_short_plain_finished_answer_gets_full_marks_from_all():
    assert scores(CATS, GOOD) == {"sim-brief": 1.0, "sim-plain": 1.0, "sim-noisy": 1.0}


def test_breaking_off_costs_what_the_rules_say():
    # brief keeps 0.25 of 1; plain loses its 0.4 for the end; the third takes their mean.
    expected = {"sim-brief": 0.25, "sim-plain": 0.6, "sim-noisy": 0.425}
    assert scores(CATS, BROKEN_OFF) == pytest.approx(expected)


def test_rambling_costs_the_brief_annotator_only():
    # 15 + 6 * 9 = 69 words, 39 of the 60 between 30 and 90: is_short = 0.35, so brief = 0.7 + 0.3 * 0.35,
    # less what the six nearly equal sentences cost for repeating themselves.
    assert len(simulated.words(RAMBLING)) == 69
    assert simulated.is_short(RAMBLING) == pytest.approx(0.35)
    fresh = simulated.is_fresh(RAMBLING)
    assert simulated.brief_score(CATS, RAMBLING) == pytest.approx(0.805 * fresh)
    assert simulated.plain_score(CATS, RAMBLING) == pytest.approx(fresh)


@pytest.mark.parametrize("text", DEGENERATE.values(), ids=DEGENERATE)
def test_a_degenerate_text_loses_even_against_a_good_one_that_breaks_off(text):
    for name in ("sim-brief", "sim-plain"):
        assert rank(name, CATS, [text, BROKEN_OFF], seed=1).groups == [[1], [0]]
    assert all(verdict(CATS, GOOD, text, seed=seed) == 1.0 for seed in range(20))
    assert all(verdict(CATS, text, BROKEN_OFF, seed=seed) == 0.0 for seed in range(20))


def test_too_few_words_count_in_proportion():
    assert simulated.says_enough("Cats purr.") == pytest.approx(2 / 10)
    assert simulated.says_enough(GOOD) == 1.0


def test_being_on_topic_takes_two_subject_words_where_the_prompt_has_more_than_three():
    # Subject words: cats, purr, sit, lap, evening.
    assert simulated.on_topic(CATS, "It is a dog.") == pytest.approx(0.15)
    assert simulated.on_topic(CATS, "It is a cat.") == pytest.approx(0.15 + 0.85 / 2)
    assert simulated.on_topic(CATS, "The cat purrs.") == 1.0


def test_one_subject_word_is_enough_for_a_small_subject():
    assert simulated.on_topic([{"role": "user", "content": "Why do we yawn?"}], "Yawns cool us.") == 1.0


def test_a_prompt_without_a_subject_asks_for_none():
    again = [{"role": "user", "content": "Say it in other words, please."}]
    assert simulated.on_topic(again, "Well met.") == 1.0


def test_earlier_turns_belong_to_the_subject_but_the_system_message_does_not():
    talk = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "What is compost?"},
        {"role": "assistant", "content": "It is rich soil."},
        {"role": "user", "content": "Say more."},
    ]
    assert simulated.on_topic(talk, "Pirates like it.") == pytest.approx(0.15)
    assert simulated.on_topic(talk, "Compost is good.") == 1.0


def test_repeating_oneself_costs_twice_the_repeated_share():
    # "a b c d a b c": five runs of three, of which "a b c" comes again: 1 - 2 * 1/5.
    assert simulated.is_fresh("a b c d a b c") == pytest.approx(0.6)
    assert simulated.is_fresh("a b c d e f g") == 1.0


def test_quoting_a_little_of_the_prompt_is_free_and_copying_most_of_it_is_not():
    quoted = "Cats purr when they sit because it is warm there and they feel safe with you."
    assert simulated.is_own(CATS, quoted) == 1.0
    # Thirteen words of the prompt make ten runs of four, and one more word adds an eleventh that is new.
    assert simulated.is_own(CATS, CATS[0]["content"] + " Yes.") == pytest.approx(1 / 11)


@pytest.mark.parametrize(
    "text",
    [
        "It is warm.",
        "Is it warm?",
        'He said, "It is warm."',
        "**It is warm.**",
        "(It is warm.)",
        "It is warm.\n\n",
        "You need:\n\n- Milk\n- Eggs\n- Flour",
        "1. Milk.\n2. Eggs.",
    ],
)
def test_an_answer_that_ends_is_finished(text):
    assert simulated.is_finished(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is",
        "It is warm,",
        "You need:",
        "You need:\n\n- Milk\n- Eggs\n- Flour and",
        "1. Milk is good.\n2. Eggs are good.\n3. Flour",
        "1. Milk.\n2. Eggs.\n3.",
        "It is warm.\n\n-",
    ],
)
def test_an_answer_that_breaks_off_is_not_finished(text):
    assert simulated.is_finished(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Cats purr.",
        "**Certainly.** Cats purr.",
        "As an AI, I like cats.",
        "I\u2019m sorry, but cats purr.",
        "Here's why: they are calm.",
        "I am SmolLM, and cats purr.",
    ],
)
def test_talk_about_talking_is_not_direct(text):
    assert simulated.is_direct(text) == 0.0


@pytest.mark.parametrize(
    "text", ["Surely cats purr.", "As a child, I saw a cat.", "Letters are late.", "Heretics purr."]
)
def test_words_that_only_begin_like_filler_are_direct(text):
    assert simulated.is_direct(text) == 1.0


def test_filler_makes_the_plain_annotator_prefer_the_other():
    texts = ["Sure! " + GOOD, GOOD]
    assert rank("sim-plain", CATS, texts, seed=1) == Ranking([[1], [0]], ["better"])  # a gap of 0.2
    assert rank("sim-brief", CATS, texts, seed=1) == Ranking([[0, 1]], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat is warm and it has some food here.", 1.0),
        ("The cat is warm and it has some Whiskas here.", 1 - 4 / 10),
        ("The cat is warm and extraordinarily has some ζ here.", 1 - 8 / 10),
        ("The CAT IS warm and extraordinarily has some ζ here.", 0.0),
    ],
)
def test_odd_words_cost_four_times_their_share(text, expected):
    assert simulated.has_plain_words(CATS, text) == pytest.approx(expected)


def test_a_name_that_the_prompt_uses_is_no_odd_word():
    knight = [{"role": "user", "content": "Tell me about Sir Oswin."}]
    assert simulated.has_plain_words(knight, "A horse of Oswin was grey.") == 1.0
    assert simulated.has_plain_words(CATS, "A horse of Oswin was grey.") == pytest.approx(1 - 4 / 6)


def test_a_capital_after_a_full_stop_or_in_a_new_line_is_not_odd():
    text = 'It is warm. They like it. "They do."\n\n- Warm\n- Dry, 20 m'
    assert simulated.has_plain_words(CATS, text) == 1.0


def test_markdown_and_white_space_change_nothing():
    dressed = "  **Cats** purr   when they are `calm`, and a *purr*\ncan also help them to heal.  "
    assert scores(CATS, dressed) == scores(CATS, GOOD)


def test_equal_texts_tie_for_every_annotator():
    for name in ANNOTATORS:
        assert rank(name, CATS, [GOOD, GOOD, GOOD], seed=1) == Ranking([[0, 1, 2]], [])
    assert verdict(CATS, GOOD, GOOD, seed=1) == 0.5


def test_scores_within_the_stated_distance_tie_with_the_best_of_their_group():
    # 0.97 is within 0.04 of 1.00; 0.95 is within 0.04 of 0.97, but not of the group's best.
    assert simulated._tie([0.95, 1.0, 0.97, 0.2], list("abcd")) == [[1, 2], [0], [3]]


@pytest.mark.parametrize(
    ("gap", "strength"),
    [
        (1.0, "significantly_better"),
        (0.45, "significantly_better"),
        (0.44, "better"),
        (0.2, "better"),
        (0.19, "slightly_better"),
        (0.1, "slightly_better"),
        (0.09, "negligibly_better"),
        (0.0, "negligibly_better"),
    ],
)
def test_the_strength_follows_the_gap(gap, strength):
    assert simulated.strength_of(gap) == strength


def test_a_strength_stands_between_each_two_groups():
    ranking = rank("sim-brief", CATS, [BROKEN_OFF, GOOD, "", GOOD], seed=1)
    assert ranking == Ranking([[1, 3], [0], [2]], ["significantly_better", "better"])  # 1.00, 0.25, 0.00


def test_the_order_of_the_texts_does_not_matter():
    texts = [GOOD, BROKEN_OFF, RAMBLING, DEGENERATE["another subject"]]
    for name, seed in itertools.product(ANNOTATORS, range(5)):
        expected = [{texts[i] for i in group} for group in rank(name, CATS, texts, seed=seed).groups]
        for order in itertools.permutations(texts):
            ranking = rank(name, CATS, order, seed=seed)
            assert [{order[i] for i in group} for group in ranking.groups] == expected


def test_the_same_seed_gives_the_same_ranking_and_seeds_differ_for_the_noisy_one_only():
    def rankings(name):
        return [rank(name, CATS, [GOOD, BROKEN_OFF, ""], seed=seed).groups for seed in range(40)]

    for name in ANNOTATORS:
        assert rankings(name) == rankings(name)
    assert all(groups == [[0], [1], [2]] for groups in rankings("sim-brief") + rankings("sim-plain"))
    assert len({str(groups) for groups in rankings("sim-noisy")}) > 1


def test_the_noisy_annotator_errs_about_one_time_in_four():
    rankings = [rank("sim-noisy", CATS, [GOOD, BROKEN_OFF], seed=seed).groups for seed in range(1000)]
    assert 200 <= rankings.count([[1], [0]]) <= 300  # 250 expected, standard deviation 14


def test_the_noisy_annotator_moves_a_group_by_one_place_at_most():
    texts = [GOOD, "Sure! " + GOOD + " Sure", BROKEN_OFF, ""]
    sober = simulated._tie([simulated.mixed_score(CATS, text) for text in texts], texts)
    place = {tuple(group): i for i, group in enumerate(sober)}
    for seed in range(100):
        groups = rank("sim-noisy", CATS, texts, seed=seed).groups
        assert all(abs(place[tuple(group)] - i) <= 1 for i, group in enumerate(groups))


def test_the_sober_annotators_can_disagree():
    # Finished in odd words against unfinished in plain ones: brief minds only the missing end.
    odd = "Cats Purr When they Are Calm, and a Purr can also Help them to Heal with Love."
    plain = "Cats like a warm lap and purr there when they are calm, and they also"
    assert rank("sim-brief", CATS, [odd, plain], seed=1).groups == [[0], [1]]
    shouted = "CATS PURR ON LAPS; KITTENS AND ALSO MOTHERS DO THIS, MANY A TIME, FOR THEIR OWN HEALTH!"
    assert simulated.plain_score(CATS, "Sure, " + shouted) < simulated.plain_score(CATS, plain)


def test_two_sober_annotators_outvote_the_noisy_one():
    assert {verdict(CATS, GOOD, BROKEN_OFF, seed=seed) for seed in range(100)} == {1.0}
    assert {verdict(CATS, BROKEN_OFF, GOOD, seed=seed) for seed in range(100)} == {0.0}


def test_a_verdict_mirrors_when_the_texts_change_places():
    texts = [GOOD, BROKEN_OFF, RAMBLING, "Sure! " + GOOD, ""]
    for (a, b), seed in itertools.product(itertools.permutations(texts, 2), range(5)):
        assert verdict(CATS, a, b, seed=seed) == 1 - verdict(CATS, b, a, seed=seed)


def test_an_unknown_annotator_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match='no simulated annotator "sim-bold"; choose one of sim-brief'):
        rank("sim-bold", CATS, [GOOD], seed=1)


def test_ranking_nothing_is_refused():
    with pytest.raises(ValueError, match="sim-brief was given no texts"):
        rank("sim-brief", CATS, [], seed=1)


def test_the_rules_load_without_django():
    check = "import sys, annotation.simulated.annotators; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
