"""Texts cut into sentences."""

import pytest

from pocketbert.compress.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is long. It is dull!  Why?", ["It is long.", "It is dull!", "Why?"]),
        ("One line\nand another", ["One line", "and another"]),
        ("A film.<br /><br />Not a good one.", ["A film.", "Not a good one."]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("Mr. Smith and J. Doe act. Badly.", ["Mr. Smith and J. Doe act.", "Badly."]),
        ("It goes on ... and on. 3.5 of 5.", ["It goes on ... and on.", "3.5 of 5."]),
        ("这部电影很好。我喜欢！", ["这部电影很好。", "我喜欢！"]),
        ("no full stop", ["no full stop"]),
        (" <br>\n ", []),
    ],
)
def test_where_sentences_end(text, expected):
    assert sentences(text) == expected
