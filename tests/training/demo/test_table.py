from training.demo import table


def test_the_table_is_as_wide_as_its_longest_cell():
    lines = table.render("Figures", [("pairs", "12"), ("win rate", "71 %")]).splitlines()
    assert lines[0] == "Figures"
    assert len({len(line) for line in lines[1:]}) == 1
    assert "| pairs    | 12   |" in lines
