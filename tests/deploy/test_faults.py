"""What is said of a fault, and that nothing broken is left behind."""

import shutil

import pytest

from .faults import FAULTS, fill_disk, meet


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence_and_leaves_nothing_behind(bert, tmp_path, name):
    outcome = meet(name, bert.bundle, tmp_path)
    assert outcome.exit_code == 2
    assert FAULTS[name][1] in outcome.said
    assert outcome.said.startswith("error: ")
    assert outcome.said.count("\n") == 0
    assert outcome.left_behind == ()
    assert outcome.whole


def test_a_full_disk_leaves_the_earlier_bundle_whole(bert, tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("not found: unshare")
    try:
        outcome = fill_disk(bert.bundle, tmp_path / "disk")
    except PermissionError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    assert "the disk is full, expected free space" in outcome.said
    assert str(bert.bundle) not in outcome.said
    assert outcome.left_behind == ()
    assert outcome.whole
