"""The README's coverage tables take what was measured, and keep the rest."""

import pytest
from readme_coverage import DRAWN, TRAINED, line, replaced

ORDER = ("a", "b", "c")
ROW = ("b", "2", "20", "0.5", "1")
TEXT = f"""before
<!-- coverage -->
words of a person

{line(DRAWN)}
|---|---|---|---|---|
| c | 3 | 30 | 0 | 1 |
| b | 1 | 10 | 0 | 1 |
| gone | 1 | 10 | 0 | 1 |

more words
<!-- /coverage -->
after
"""


def test_a_row_is_exchanged_and_others_stay_in_the_order_of_the_models() -> None:
    wanted = f"""before
<!-- coverage -->
words of a person

{line(DRAWN)}
|---|---|---|---|---|
{line(ROW)}
| c | 3 | 30 | 0 | 1 |

more words
<!-- /coverage -->
after
"""
    got = replaced(TEXT, DRAWN, ORDER, {"b": ROW})
    assert got == wanted
    assert replaced(got, DRAWN, ORDER, {"b": ROW}) == got


def test_a_table_that_is_not_there_comes_last() -> None:
    row = ("a", "1", "1.0", "0", "1", "99.0%", "99.0%", "5 of 5")
    got = replaced(TEXT, TRAINED, ORDER, {"a": row})
    table = f"{line(TRAINED)}\n{'|---' * 8}|\n{line(row)}\n<!-- /coverage -->\nafter\n"
    assert got == TEXT.partition("<!-- /coverage -->")[0] + "\n" + table


def test_a_file_without_the_block_is_left_alone() -> None:
    with pytest.raises(ValueError, match="README has no <!-- coverage -->"):
        replaced("words", DRAWN, ORDER, {"b": ROW})
