import pytest

from pocketbert.deploy.cpu import available_isas, isas_of


@pytest.mark.parametrize(
    ("machine", "flags", "best"),
    [
        ("x86_64", "fpu sse2 avx2 fma", "x86_64"),
        ("x86_64", "avx2 avx512f avx512_vnni", "x86_64_vnni"),
        ("AMD64", "avx2 avx_vnni", "x86_64_vnni"),
        ("x86_64", "", "x86_64"),
        ("aarch64", "fp asimd asimddp", "arm64"),
        ("arm64", "", "arm64"),
        ("riscv64", "avx512_vnni", "any"),
    ],
)
def test_best_isa(machine, flags, best):
    assert isas_of(machine, f"flags\t\t: {flags}\n")[0] == best


def test_a_vnni_machine_also_runs_the_plain_layout():
    assert "x86_64" in isas_of("x86_64", "flags : avx512_vnni")


def test_every_machine_runs_float():
    assert available_isas()[-1] == "any"
