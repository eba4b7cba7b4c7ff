#!/usr/bin/env python3
"""Compares what a driver's checks saw on a plain server and through Bulkhead, check by check.

The last line is `N passed N failed N skipped`, for run.sh to add up. A check passes when both saw the same, line by
line, and neither says FAILED. With one file only, a check passes when it does not say FAILED.
"""

import argparse
import difflib
import os

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("driver", help="name of the driver, for the report")
parser.add_argument("files", nargs="+", help="the recorded output: plain, proxy; or one alone")
parser.add_argument("--width", type=int, default=240, help="cut reported lines here")


def read(path):
    """The checks of one run, in order: name to lines."""
    found, name = {}, "(before the first check)"
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("## "):
                name = line[3:]
                found[name] = []
            else:
                found.setdefault(name, []).append(line)
    return found


def is_skipped(lines):
    return any(line.startswith("skip ") for line in lines)


def has_failed(lines):
    return any(line.startswith("FAILED") for line in lines)


def verdict(seen):
    """passed, failed or skipped, of what each target saw in one check (None: the check never ran)."""
    if any(lines is None or has_failed(lines) for lines in seen):
        return "failed"
    ran = [lines for lines in seen if not is_skipped(lines)]
    if not ran:
        return "skipped"
    return "passed" if all(lines == ran[0] for lines in ran) else "failed"


def report(driver, name, seen, width):
    print(f"--- {driver}: {name}")
    if len(seen) == 2 and None not in seen:
        for line in difflib.unified_diff(*seen, "plain", "through Bulkhead", lineterm="", n=1):
            print("   ", line[:width])
    for lines in seen:
        if lines is None:
            print("    the check did not run: the program ended before it")
        elif has_failed(lines):
            print("   ", *[line[:width] for line in lines if line.startswith("FAILED")])


def known_differences():
    """(driver, check) to reason, of the checks that are known to differ through Bulkhead."""
    known = {}
    with open(os.path.join(os.path.dirname(__file__), "known-differences.txt"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                driver, check, reason = (part.strip() for part in line.split("|", 2))
                known[driver, check] = reason
    return known


def main():
    arguments = parser.parse_args()
    known = known_differences()
    runs = [read(path) for path in arguments.files]
    names = list(dict.fromkeys(name for run in runs for name in run))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name in names:
        seen = [run.get(name) for run in runs]
        result = verdict(seen)
        reason = known.get((arguments.driver, name))
        if reason and len(seen) == 2 and result == "failed":
            result = "skipped"
            print(f"--- {arguments.driver}: {name}: known difference: {reason}")
        elif reason and len(seen) == 2 and result == "passed":
            print(f"--- {arguments.driver}: {name}: no longer differs: take it off known-differences.txt")
        counts[result] += 1
        if result == "failed":
            report(arguments.driver, name, seen, arguments.width)
    if not names:
        print(f"--- {arguments.driver}: no output at all")
        counts["failed"] += 1
    print(counts["passed"], "passed", counts["failed"], "failed", counts["skipped"], "skipped")


main()
