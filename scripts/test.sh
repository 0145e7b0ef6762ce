#!/usr/bin/env bash
# All tests. Those of OpenCL devices need a driver: where there is none, PoCL, which makes a device of the processor, is
# installed through the system's package manager if that is possible, and else these tests say so and are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

has_driver() { ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1 && ldconfig -p 2>/dev/null | grep -q 'libOpenCL\.so'; }

# as_root COMMAND...: runs it as root without asking for a password.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_pocl() {
    if command -v apt-get >/dev/null; then
        as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends pocl-opencl-icd ocl-icd-libopencl1
    elif command -v dnf >/dev/null; then
        as_root dnf -q -y install pocl ocl-icd
    elif command -v pacman >/dev/null; then
        as_root pacman -Sy --noconfirm pocl ocl-icd
    else
        return 1
    fi
}

if ! has_driver && ! { install_pocl >/dev/null 2>&1 && has_driver; }; then
    echo 'no OpenCL driver, and none could be installed here (package pocl-opencl-icd): its tests are skipped' >&2
fi
# What an earlier run has built for a device is not what is tested.
export ALLOTROPE_OPENCL_CACHE="${ALLOTROPE_OPENCL_CACHE:-off}"
cargo test --release --workspace --features opencl "$@"
