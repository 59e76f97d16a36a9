"""Freed memory is used again, and handed back in the end."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")

# Pages faulted in by making and dropping a word table's gradient 20 times, once the heap is large
# enough for an aligned block to be cut out of a freed one, and bytes that the end hands back.
PROGRAM = """
import resource
from contextlib import nullcontext

import torch

from pocketbert.compress.freed_memory import freed_memory_kept


def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident_bytes():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()


with {context}():
    for _ in range(10):
        torch.zeros(30522, 384)
    before = pages()
    for _ in range(20):
        torch.zeros(30522, 384)
    print(pages() - before)
    whole = resident_bytes()
print(whole - resident_bytes())
"""


def faults_and_given_back(context: str) -> tuple[int, int]:
    program = PROGRAM.format(context=context)
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    faults, given_back_bytes = map(int, printed.stdout.split())
    return faults, given_back_bytes


def test_a_gradient_finds_its_pages_there() -> None:
    table_bytes = 30522 * 384 * 4
    asked_anew, _ = faults_and_given_back("nullcontext")
    kept, given_back_bytes = faults_and_given_back("freed_memory_kept")
    assert asked_anew > 20 * 10  # 11,000 a table with pages of 4,096 bytes, 23 with huge ones
    assert kept < asked_anew / 10
    assert given_back_bytes > 0.9 * table_bytes
