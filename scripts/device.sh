#!/usr/bin/env bash
# What there is to know of an OpenCL device, in one go: its probe, the tests on it, and the workloads beside the CPU's.
#
#     scripts/device.sh [opencl:0]
#
# Written to the folder `device-report`: devices.txt (limits, verdict, launch and transfer times), tests.txt (operators whose
# bits differ are listed), bench.jsonl (a line a workload, on the device and on the CPU), compare/ (the main job with the
# device as a third run). On a machine with a GPU compare bench.jsonl with the card's bandwidth and with its own BLAS:
# chain_16m moves 192 MiB, sum_16m 64 MiB, matmul_4096 is 137.4 GFLOP.
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:-opencl:0}
out=device-report
mkdir -p "$out"
cargo build --release --features opencl || exit 1
allotrope=target/release/allotrope
"$allotrope" devices | tee "$out/devices.txt"
"$allotrope" compare --device "$device" --out "$out/compare" | tee "$out/compare.txt"
for workload in chain_16m sum_16m matmul_1024 matmul_4096 rnn_fixed_10 rnn_fixed_200; do
    for on in "$device" cpu; do
        timeout 300 "$allotrope" bench "$workload" --mode trace --device "$on" --threads "$(nproc)" --json || true
    done
done | tee "$out/bench.jsonl"
timeout 300 "$allotrope" bench eager_add_8 --mode eager --device "$device" --json | tee -a "$out/bench.jsonl"
ALLOTROPE_OPINFO_DEVICE=all cargo test --release --features opencl --test opencl --test opinfo device -- --nocapture 2>&1 | tee "$out/tests.txt"
