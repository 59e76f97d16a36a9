"""A long text cut into its sentences, where single sentences are what a task is about."""

import re

# A line's end, in HTML too; the space after a full stop and any quotation mark or bracket that
# closes with it, unless what follows goes on in lower case; nothing at all after a Chinese one.
ENDS = re.compile(
    r"(?:<br\s*/?>|\n)+"
    r"|(?:(?<=[.!?…])|(?<=[.!?…][\"'\u201d\u2019)\]]))\s+(?![a-z])"
    r"|(?<=[。！？])"
)
# Full stops that end no sentence.
TITLES = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|No|[A-Z])\.$")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, none blank.

    Full stops are all that is looked at; the few titles and initials that have one are known in
    English only. It cuts texts to learn from, where a wrong cut costs next to nothing.
    """
    found: list[str] = []
    for piece in map(str.strip, ENDS.split(text)):
        if found and TITLES.search(found[-1]):
            found[-1] += f" {piece}"
        elif piece:
            found.append(piece)
    return found
