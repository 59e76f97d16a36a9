"""Which JetPack a Jetson has, from the file that NVIDIA's Linux for Tegra (L4T) leaves there."""

import re
from pathlib import Path

RELEASE = Path("/etc/nv_tegra_release")

# JetPack of an L4T release; the longest that a release begins with counts.
JETPACKS = {
    "35.": "5",
    "36.3": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5": "6.2.2",
    "38.2": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
}


def read_jetpack(release: Path = RELEASE) -> str | None:
    """Name L4T and JetPack, such as "L4T 36.4.3 (JetPack 6.2)"; None if this is no Jetson.

    Args:
        release: A file that begins like "# R36 (release), REVISION: 4.3, GCID: ...".
    """
    if not release.is_file():
        return None
    text = release.read_text()
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if found is None:
        return f"L4T of unknown release ({text.partition(',')[0].strip()})"
    l4t = ".".join(found.groups())
    known = [begin for begin in JETPACKS if l4t.startswith(begin)]
    return f"L4T {l4t} (JetPack {JETPACKS[max(known, key=len)]})" if known else f"L4T {l4t}"
