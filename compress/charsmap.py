"""SentencePiece's table of normalisations, as a tokenizer.json's `Precompiled` holds it.

The bytes are the size of a trie, the trie, and the texts that its values point into, each ended by
a zero byte. The trie is a double array (Aoe 1989) with the units of Darts-clone: a child stands at
its parent's base XOR its byte, a value at the base itself.
"""

import struct
from collections.abc import Mapping

LEAF = 1 << 8  # a unit that has a value below it
VALUE = 1 << 31  # a unit that is a value; no byte equals its label
MAX_OFFSET = 1 << 21
BLOCK = 256  # a base and all its children are in one

Node = dict[int, "Node | int"]  # byte -> what follows it; 0 -> the value


def charsmap(replacements: Mapping[str, str]) -> bytes:
    """Return the bytes of a table.

    Args:
        replacements: What each text becomes; neither may hold U+0000.
    """
    texts = bytearray()
    starts: dict[str, int] = {}
    for becomes in replacements.values():
        if becomes not in starts:
            starts[becomes] = len(texts)
            texts += becomes.encode() + b"\0"
    root: Node = {}
    for text, becomes in replacements.items():
        node = root
        for byte in text.encode():
            following = node.setdefault(byte, {})
            assert isinstance(following, dict)
            node = following
        node[0] = starts[becomes]
    units = _double_array(root)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(texts)


def _double_array(root: Node) -> list[int]:
    units = [0] * BLOCK
    taken = {0}
    bases: set[int] = set()
    first = 0  # block in which there may be room
    waiting: list[tuple[int, Node]] = [(0, root)]
    while waiting:
        place, node = waiting.pop()
        base = first
        while base in bases or any(base ^ byte in taken for byte in node):
            base += 1
        if base >= len(units):
            units += [0] * BLOCK
        # Nearly full blocks are not searched again: a little room for a lot of time.
        first = max(first, base // BLOCK * BLOCK - BLOCK)
        assert base ^ place < MAX_OFFSET
        bases.add(base)
        taken.update(base ^ byte for byte in node)
        units[place] |= (base ^ place) << 10 | (LEAF if 0 in node else 0)
        for byte, following in sorted(node.items()):
            if isinstance(following, int):
                units[base] = VALUE | following
            else:
                units[base ^ byte] = byte
                waiting.append((base ^ byte, following))
    return units
