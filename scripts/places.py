#!/usr/bin/env python3
"""Counts the places that name an operation, which is what adding one like it would touch: files and lines of code.

    scripts/places.py [--tree DIR] [--lines] [WORD]...

The words are regular expressions, of which one in small letters means capitals too; without any, `tanh`, `softmax` and
`recurrence` are counted. Comments and what stands under `#[cfg(test)]` at the end of a file are left out; tests, benches,
examples and docs are counted separately. `--lines` shows each place.
"""

import argparse
import pathlib
import re
import sys

WORDS = ["tanh", "softmax", "recurrence"]
SOURCES = ["src", "ir/src", "kernels/src"]
OTHERS = ["tests", "ir/tests", "kernels/tests", "benches", "examples", "docs"]


def code(path):
    """Numbered lines without comments and unit tests."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() == "#[cfg(test)]":
            return
        text = line if path.suffix != ".rs" else re.sub(r"//.*", "", line)
        if text.strip():
            yield number, text


def places(root, folders, word):
    """Per file, the lines that hold the word."""
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".rs", ".md") and path.is_file():
                lines = [(n, text) for n, text in code(path) if re.search(word, text, re.I if word.islower() else 0)]
                if lines:
                    found[path.relative_to(root)] = lines
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", default=WORDS)
    parser.add_argument("--tree", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--lines", action="store_true", help="show each line")
    args = parser.parse_args()
    print(f"{'word':<24}{'sources':>20}{'tests, benches, docs':>30}")
    for word in args.words:
        both = [places(args.tree, folders, word) for folders in (SOURCES, OTHERS)]
        sums = [f"{len(found)} files {sum(map(len, found.values()))} lines" for found in both]
        print(f"{word:<24}{sums[0]:>20}{sums[1]:>30}")
        for path, lines in both[0].items():
            print(f"    {path}: {len(lines)}")
            if args.lines:
                for number, text in lines:
                    print(f"        {number}: {text.strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
