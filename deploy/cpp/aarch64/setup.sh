#!/bin/sh
# An ARM64 machine under emulation, and a cross compiler for it: `setup.sh FOLDER`.
#
# On Debian 12 or a later Debian or Ubuntu. As root it installs the emulator and the compiler with
# apt; without root they must be there. Everything else goes into FOLDER and changes nothing outside:
#
#     root/           Debian's ARM64 C library, CPython 3.11 and OpenSSL, the processor's /proc/cpuinfo
#     site-packages/  the base install of pocketbert, as wheels for ARM64
#     onnxruntime/    ONNX Runtime's ARM64 library and its headers
#     run             runs an ARM64 program: `run PROGRAM ARGUMENTS`
#     python          runs the ARM64 Python, with what is in site-packages
#
# Packages have the versions of debs.txt and wheels.txt and are checked against their SHA-256.
# Where apt knows no mirror of Debian (Ubuntu), DEBIAN_MIRROR names one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
TOOLS="cmake dpkg-dev g++-aarch64-linux-gnu nlohmann-json3-dev qemu-user-static"
PROGRAMS="cmake aarch64-linux-gnu-g++ qemu-aarch64-static"
PROCESSORS=2

missing() {
    for program in $PROGRAMS; do
        command -v "$program" > /dev/null || echo "$program"
    done
}

install_tools() {
    [ -z "$(missing)" ] && [ -e /usr/include/nlohmann/json.hpp ] && return
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $TOOLS
        return
    fi
    echo "not found: $(missing | tr '\n' ' '), expected them; run as root: apt-get install $TOOLS" >&2
    exit 2
}

# A list of packages of our own, so that this machine's apt and dpkg do not change.
get_debian() {
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | sort -u | head -n 1)}
    if [ -z "$mirror" ]; then
        echo "apt knows no mirror of Debian, expected one; set DEBIAN_MIRROR to the URL of one" >&2
        exit 2
    fi
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ ! -e "$keys" ]; then
        echo "$keys is not there, expected Debian's keys; apt-get install debian-archive-keyring" >&2
        exit 2
    fi
    mkdir -p apt/lists/partial debs
    echo "deb [signed-by=$keys] $mirror bookworm main" > apt/sources.list
    : > apt/status
    own="-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
        -o Acquire::Languages=none -o Dir::Etc::SourceList=$scratch/apt/sources.list
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$scratch/apt/lists
        -o Dir::State::status=$scratch/apt/status"
    apt-get $own update
    (cd debs && apt-get $own download $(sed -n 's/^\([^# ]*=[^ ]*\) .*/\1/p' "$here/debs.txt"))
    for deb in debs/*.deb; do
        echo "$(dpkg-deb --show --showformat '${Package}=${Version}' "$deb") $(sha256sum < "$deb" | cut -d ' ' -f 1)"
    done | sort > found.txt
    grep -v '^#' "$here/debs.txt" | sort | diff - found.txt >&2 ||
        { echo "these packages do not have the SHA-256 of $here/debs.txt" >&2; exit 1; }
    for deb in debs/*.deb; do
        dpkg-deb --extract "$deb" root
    done
}

get_wheels() {
    "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
        --only-binary :all: --python-version 3.11 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
        --target site-packages --requirement "$here/wheels.txt"
}

# ONNX Runtime reads /proc and /sys to choose its kernels, and crashes on those of an x86 machine.
# A Cortex-A76, as the emulator is told to be: INT8 dot products, no INT8 matrix products.
describe_processor() {
    cpus=root/sys/devices/system/cpu
    mkdir -p root/proc "$cpus"
    last=$((PROCESSORS - 1))
    for number in $(seq 0 $last); do
        printf 'processor\t: %s\nBogoMIPS\t: 50.00\n' "$number"
        echo "Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs"
        printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n'
        mkdir -p "$cpus/cpu$number/topology" "$cpus/cpu$number/regs/identification"
        echo 0x00000000414fd0b1 > "$cpus/cpu$number/regs/identification/midr_el1"
        echo "$number" > "$cpus/cpu$number/topology/core_id"
        echo 0 > "$cpus/cpu$number/topology/physical_package_id"
    done > root/proc/cpuinfo
    for list in possible present online; do
        echo "0-$last" > "$cpus/$list"
    done
}

write_launchers() {
    cat > run << 'END'
#!/bin/sh
folder=$(dirname "$(realpath "$0")")
exec qemu-aarch64-static -cpu cortex-a76 -L "$folder/root" \
    -E LD_LIBRARY_PATH="$folder/onnxruntime/lib" "$@"
END
    cat > python << 'END'
#!/bin/sh
folder=$(dirname "$(realpath "$0")")
exec env PYTHONPATH="$folder/site-packages:${PYTHONPATH:-}" PYTHONPYCACHEPREFIX="$folder/bytecode" \
    qemu-aarch64-static -cpu cortex-a76 -L "$folder/root" "$folder/root/usr/bin/python3.11" "$@"
END
    chmod +x run python
}

install_tools
mkdir -p "$1"
out=$(cd "$1" && pwd)
scratch=$(mktemp -d "$out/.new-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir root
get_debian
get_wheels
describe_processor
write_launchers
"$here/../get_onnxruntime.sh" onnxruntime aarch64
for part in root site-packages onnxruntime run python; do
    rm -rf "${out:?}/$part"
    mv "$part" "$out/"
done
