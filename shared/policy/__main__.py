"""The policy at the command line: check documents, plan a change, print the JSON Schemas, write the reference.

Exit codes: 0 valid (and nothing becomes looser), 1 not valid, 2 the command makes no sense, 3 valid, and by the plan
Watchkeeper may do more than before or protects less.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.policy.command import check, show_plan
from shared.policy.reference import markdown
from shared.policy.schema import platform_format, project_format

_REFERENCE = Path(__file__).parents[2] / "docs" / "policy.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; see the module for the exit codes."""
    chosen = _parser().parse_args(arguments)
    if chosen.command == "check":
        if chosen.projects is not None and len(chosen.files) != 1:
            print("check --projects takes one FILE, the platform's document", file=sys.stderr)
            return 2
        return check(chosen.files, chosen.projects)
    if chosen.command == "plan":
        return show_plan(chosen.before, chosen.before_projects, chosen.after, chosen.projects, as_json=chosen.json)
    if chosen.command == "schema":
        print(json.dumps((project_format() if chosen.project else platform_format()).schema, indent=2))
    else:
        _REFERENCE.write_text(markdown(), encoding="utf-8")
        print(f"wrote {_REFERENCE}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.policy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checked = commands.add_parser("check", help="print every problem of the documents, one a line")
    checked.add_argument("files", nargs="+", type=Path, metavar="FILE")
    checked.add_argument("--projects", type=Path, metavar="DIR", help="the projects' documents, judged against FILE")
    planned = commands.add_parser("plan", help="print what a change would do to the targets that there are")
    planned.add_argument("--before", type=Path, required=True, metavar="FILE", help="the platform's document today")
    planned.add_argument("--before-projects", type=Path, metavar="DIR", help="the projects' today, if they change too")
    planned.add_argument("--after", type=Path, required=True, metavar="FILE", help="the platform's document then")
    planned.add_argument("--projects", type=Path, metavar="DIR", help="the projects' documents then")
    planned.add_argument("--json", action="store_true", help="for programs")
    schemas = commands.add_parser("schema", help="print the JSON Schema of the platform's document")
    schemas.add_argument("--project", action="store_true", help="that of a project's document")
    commands.add_parser("docs", help="write docs/policy.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
