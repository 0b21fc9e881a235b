"""The policy at the command line: check a document, print the JSON Schema, write the reference."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.policy.loading import review_policy
from shared.policy.problems import PolicyInvalid, PolicyUnreadable
from shared.policy.reference import markdown
from shared.policy.schema import schema
from shared.policy.sources import FilePolicySource

_REFERENCE = Path(__file__).parents[2] / "docs" / "policy.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is 1 when a document has a problem."""
    parser = argparse.ArgumentParser(prog="python -m shared.policy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="print every problem of the documents, one a line")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    commands.add_parser("schema", help="print the JSON Schema")
    commands.add_parser("docs", help="write docs/policy.md")
    chosen = parser.parse_args(arguments)
    if chosen.command == "check":
        return max(_check(file) for file in chosen.files)
    if chosen.command == "schema":
        print(json.dumps(schema(), indent=2))
    else:
        _REFERENCE.write_text(markdown(), encoding="utf-8")
        print(f"wrote {_REFERENCE}")
    return 0


def _check(file: Path) -> int:
    source = FilePolicySource(file)
    try:
        document = asyncio.run(source.read(known_etag=None))
        assert document is not None  # nothing was known that it could be unchanged from
        reviewed = review_policy(document.text, source.name)
    except (PolicyInvalid, PolicyUnreadable) as error:
        for problem in error.problems:
            print(problem.at(error.source))
        return 1
    for warning in reviewed.warnings:
        print(f"warning: {warning.at(source.name)}")
    count = len(reviewed.policy.targets)
    print(f"{source.name}: valid, {count} target{'' if count == 1 else 's'}, version {reviewed.policy.version_hash}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
