from training.lineage.picture import BOX_HEIGHT, BOX_WIDTH, GAP_X, MARGIN, Node, picture_of


def node(key, label=None):
    return Node(key, "policy", label or key, f"/{key}/")


def edges(*pairs):
    return dict.fromkeys(pairs, "started from")


def columns(picture):
    return {box.node.key: round((box.x - MARGIN) / (BOX_WIDTH + GAP_X)) for box in picture.boxes}


def test_what_comes_of_something_stands_to_the_right_of_it():
    picture = picture_of(map(node, "abc"), edges(("a", "b"), ("b", "c"), ("a", "c")))
    assert columns(picture) == {"a": 0, "b": 1, "c": 2}
    assert len(picture.lines) == 3


def test_a_snapshot_stands_right_before_what_first_learns_from_it():
    picture = picture_of(map(node, "abcs"), edges(("a", "b"), ("b", "c"), ("s", "c")))
    assert columns(picture) == {"a": 0, "b": 1, "s": 1, "c": 2}


def test_boxes_of_one_column_do_not_touch():
    picture = picture_of(map(node, "abc"), edges(("a", "c"), ("b", "c")))
    first, second = (box for box in picture.boxes if box.node.key in "ab")
    assert second.y - first.y > BOX_HEIGHT


def test_a_line_past_another_column_runs_below_all_boxes():
    picture = picture_of(map(node, "abc"), edges(("a", "b"), ("b", "c"), ("a", "c")))
    bottom = max(box.y for box in picture.boxes) + BOX_HEIGHT
    (far,) = [line for line in picture.lines if " L" in line.path]
    assert far.words == "c: started from a"
    assert f" {bottom + 10} L" in far.path
    assert picture.height > bottom + 10


def test_a_long_name_keeps_both_of_its_ends():
    (box,) = picture_of([node("a", "smollm2-135m-instruct-of-june-reward")], edges()).boxes
    assert (box.label[:7], box.label[-6:]) == ("smollm2", "reward")
    assert len(box.label) <= 24


def test_the_picture_is_as_large_as_its_boxes():
    picture = picture_of(map(node, "ab"), edges(("a", "b")))
    assert (picture.width, picture.height) == (2 * BOX_WIDTH + GAP_X + 2 * MARGIN, BOX_HEIGHT + 2 * MARGIN)
