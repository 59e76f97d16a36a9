"""How gates ended, in the XML that CI systems show (JUnit's, as its schema for Jenkins says it)."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from pocketbert.eval.decide_gates import GateResult

from .storage import write_whole


def write_junit(path: Path, recipe: str, gates: Sequence[GateResult]) -> None:
    """Write one test case a gate; what does not pass is a failure, of its outcome as type.

    Args:
        path: File to write.
        recipe: Name of the recipe, which names the suite.
        gates: How they ended.
    """
    failures = [gate for gate in gates if gate.outcome != "pass"]
    suite = ElementTree.Element(
        "testsuite",
        name=f"{recipe}: gates",
        tests=str(len(gates)),
        failures=str(len(failures)),
        errors="0",
        skipped="0",
    )
    for gate in gates:
        case = ElementTree.SubElement(suite, "testcase", classname=recipe, name=gate.gate)
        if gate.outcome != "pass":
            failure = ElementTree.SubElement(case, "failure", type=gate.outcome)
            failure.set("message", gate.explanation)
        ElementTree.SubElement(case, "system-out").text = f"{gate.artifact}: {gate.explanation}"
    ElementTree.indent(suite)
    write_whole(path, ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")
