#!/bin/sh
# Puts ONNX Runtime's library and C headers into a folder: `get_onnxruntime.sh FOLDER [ARCHITECTURE]`.
#
# The library is that of the released Python wheel, so that a bundle runs on the same kernels from
# both languages; the headers are Debian's (their C API is older, which a later library serves).
# Needs python3 with pip, and apt; where apt knows no mirror of Debian (Ubuntu), DEBIAN_MIRROR names
# one. Everything is checked against its SHA-256.
set -eu

VERSION=1.31.1
HEADERS_VERSION=1.21.0+dfsg-1
HEADERS_SUITE=trixie
HEADERS_SHA256=14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08
case "${2:-$(uname -m)}" in
    x86_64) platform=manylinux_2_28_x86_64 wheel_sha256=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
    aarch64) platform=manylinux_2_28_aarch64 wheel_sha256=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
    *) echo "no ONNX Runtime is known for ${2:-$(uname -m)}, expected x86_64 or aarch64" >&2; exit 2 ;;
esac

mkdir -p "$1"
out=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

echo "onnxruntime==$VERSION --hash=sha256:$wheel_sha256" > requirements.txt
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary :all: --python-version 3.12 \
    --platform "$platform" --require-hashes -r requirements.txt
"${PYTHON:-python3}" -m zipfile -e onnxruntime-*.whl wheel

# A list of packages of our own: the machine's may be of a Debian that has no such package.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | sort -u | head -n 1)}
[ -n "$mirror" ] || { echo "apt knows no mirror of Debian, expected one; set DEBIAN_MIRROR" >&2; exit 2; }
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || { echo "$keys is not there, expected it; apt-get install debian-archive-keyring" >&2; exit 2; }
echo "deb [signed-by=$keys] $mirror $HEADERS_SUITE main" > headers.list
mkdir -p lists/partial
own_list="-o Dir::Etc::SourceList=$scratch/headers.list -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists=$scratch/lists -o APT::Sandbox::User=root
    -o APT::Architecture=amd64 -o APT::Architectures=amd64"  # the same headers on every machine
apt-get $own_list -qq update
apt-get $own_list -qq download "libonnxruntime-dev=$HEADERS_VERSION"
echo "$HEADERS_SHA256  $(ls libonnxruntime-dev_*.deb)" | sha256sum --check --quiet
dpkg -x libonnxruntime-dev_*.deb headers

mkdir -p "$out/include" "$out/lib"
cp headers/usr/include/onnxruntime/onnxruntime_c_api.h "$out/include/"
cp headers/usr/include/onnxruntime/onnxruntime_session_options_config_keys.h "$out/include/"
cp "wheel/onnxruntime/capi/libonnxruntime.so.$VERSION" "$out/lib/"
ln -sf "libonnxruntime.so.$VERSION" "$out/lib/libonnxruntime.so.1"
ln -sf libonnxruntime.so.1 "$out/lib/libonnxruntime.so"
