"""Lines of keys, for every way that TOML writes one."""

import pytest

from agent.config.positions import KeyPath, positions

TEXT = r'''# a comment with [brackets] and = signs
top = 1
"quoted key" = 'literal # no comment'

[a]
b.c = 2   # dotted
text = """
[not.a.table]
x = \""" """""
after = [ 1, # one
  [2, 3], { deep = 4 },
]
inline = { x = { y = 1 }, "z.z" = "}" }
[a.sub]
k = 2026-01-02 03:04:05
[[list]]
n = 1
[[list.inner]]
m = 1
[[list.inner]]
m = 2
[[list]]
n = 2
[list.table]
t = ""
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("a",), 5),
        (("a", "b", "c"), 6),
        (("a", "text"), 7),
        (("a", "after"), 10),
        (("a", "after", 1, 0), 11),
        (("a", "after", 2, "deep"), 11),
        (("a", "inline", "x", "y"), 13),
        (("a", "inline", "z.z"), 13),
        (("a", "sub", "k"), 15),
        (("list", 0, "n"), 17),
        (("list", 0, "inner", 0, "m"), 19),
        (("list", 0, "inner", 1, "m"), 21),
        (("list", 1, "n"), 23),
        (("list", 1, "table", "t"), 25),
    ],
)
def test_each_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    assert positions(TEXT)[path] == line


def test_text_inside_a_string_is_no_key() -> None:
    assert ("a", "not") not in positions(TEXT)


def test_windows_line_ends_count_once() -> None:
    assert positions("a = 1\r\nb = 2\r\n")[("b",)] == 2


def test_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid"):
        positions("a = = 1")
