#!/usr/bin/env python3
"""Measures two builds of `allotrope` by turns, so that both meet the same noise, and prints medians and ratios.

    scripts/compare_builds.py OLD NEW [--rounds N] [--workload NAME]... [--threads N]
    scripts/compare_builds.py OLD NEW --criterion [--filter REGEX] [--rounds N]

OLD and NEW are two builds of the command (`target/release/allotrope`): every workload of `allotrope bench` is measured in both
modes, each in a process of its own. With `--criterion` they are two builds of one bench, as `cargo bench --no-run` names
them: `--filter 'compile_time/(rnn|cnn|lstm)'` compares the compile times of the RNN, CNN and LSTM steps.

Each round gives one ratio, new over old; printed are the medians of both builds, and median and quartiles of the ratios. A
figure counts as worse where even the lower quartile is above 1.01; the script then exits with 1.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys

WORKLOADS = ["rnn_fixed_10", "rnn_fixed_200", "rnn_var_30", "rnn_var_200", "eager_add_8", "eager_mul_8_fwd_bwd"]
# Figures of a line of `allotrope bench --json`: microseconds, seconds, milliseconds, MiB. What is 0 is left out.
FIELDS = ["us", "first_s", "compile_ms", "peak_rss_mib"]
UNITS = {"ns": 1e-3, "µs": 1.0, "us": 1.0, "ms": 1e3, "s": 1e6}
CRITERION = re.compile(r"^(\S.*?)?\s*time:\s+\[\S+ \S+ (\S+) (\S+) ", re.M)


def output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def workload(binary, name, threads):
    """Figures of one workload, by (name and mode, field)."""
    # What measures one eager operation has no traced form.
    for mode in ["eager"] if name.startswith("eager_") else ["eager", "trace"]:
        line = json.loads(output([binary, "bench", name, "--json", "--mode", mode, "--threads", str(threads)]))
        for field in FIELDS:
            if line.get(field):
                yield (f"{name} {mode}", field), line[field]


def criterion(binary, wanted):
    """Criterion's estimates in microseconds, by (benchmark, field). A long name stands on a line of its own."""
    command = [binary, "--bench", "--noplot", "--warm-up-time", "1", "--measurement-time", "3"]
    name = None
    for line in output(command + ([wanted] if wanted else [])).splitlines():
        found = CRITERION.match(line)
        if found:
            yield (found[1] or name, "us"), float(found[2]) * UNITS[found[3]]
        elif line and not line[0].isspace():
            name = line.strip()


def quartiles(values):
    """Lower quartile, median and upper quartile; of few values the least and the greatest."""
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    return statistics.quantiles(values, n=4, method="inclusive")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", action="append", help="measure these only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--criterion", action="store_true", help="OLD and NEW are builds of a bench")
    parser.add_argument("--filter", help="the benchmarks of --criterion")
    args = parser.parse_args()

    figures = {}
    for i in range(args.rounds):
        # Old and new begin in turn.
        sides = [("old", args.old), ("new", args.new)][:: 1 if i % 2 == 0 else -1]
        for name in [args.filter] if args.criterion else args.workload or WORKLOADS:
            for side, binary in sides:
                found = criterion(binary, name) if args.criterion else workload(binary, name, args.threads)
                for key, value in found:
                    figures.setdefault(key, {"old": [], "new": []})[side].append(value)

    print(f"{args.rounds} rounds by turns; medians of both builds, ratios with their quartiles\n")
    print(f"{'what':<32}{'field':<14}{'old':>11}{'new':>11}{'new/old':>10}  quartiles")
    worse = []
    for (what, field), sides in figures.items():
        if not sides["old"] or not sides["new"]:
            print(f"{what:<32}{field:<14}  only in the {'old' if sides['old'] else 'new'} build")
            continue
        old, new = statistics.median(sides["old"]), statistics.median(sides["new"])
        low, ratio, high = quartiles([n / o for o, n in zip(sides["old"], sides["new"])])
        if low > 1.01:
            worse.append(f"{what} {field}: {ratio:.3f} ({low:.3f} to {high:.3f})")
        print(f"{what:<32}{field:<14}{old:>11.4g}{new:>11.4g}{ratio:>10.3f}  {low:.3f} to {high:.3f}")
    print("\nworse: " + ("none" if not worse else ""))
    for line in worse:
        print(f"  {line}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
