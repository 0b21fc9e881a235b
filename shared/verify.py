"""Verifies exported days of the ledger, offline: every line as it was written, every chain whole from its first entry.

`python -m shared.verify FILE.jsonl...` prints what is wrong, a line each; the exit code is 1 if anything is, 2 if a
file cannot be read. Whether a chain was cut at its end only the heads can tell, which stay in the ledger's table:
`GET /api/ledger/days/{day}/verify` compares with them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.records.exported import lines_of, problems_of_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; see the module for the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.verify", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    results = [_verify(file) for file in parser.parse_args(arguments).files]
    return max(results)


def _verify(file: Path) -> int:
    try:
        lines = lines_of(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{file}: cannot be read: {error}", file=sys.stderr)
        return 2
    problems = problems_of_file(None, lines)
    for problem in problems:
        print(f"{file}: {problem}")
    if not problems:
        print(f"{file}: {len(lines)} entries, whole")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
