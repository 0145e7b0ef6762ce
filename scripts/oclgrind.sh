#!/usr/bin/env bash
# A small set of programs under Oclgrind (Debian's package oclgrind), which interprets kernels: no data race and no access
# beyond a buffer, in any form of code. The first takes minutes, for the device's probe; an argument chooses tests by name.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v oclgrind >/dev/null || { echo 'oclgrind is not installed (package oclgrind)' >&2; exit 1; }
# With the workspace, as in `scripts/test.sh`, so that the library is built once for both.
cargo test --release --workspace --features opencl --test opencl -- --ignored --test-threads 1 "oclgrind::${1:-}"
