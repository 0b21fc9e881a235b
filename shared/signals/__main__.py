"""What payloads become, as JSON lines; or, with `--docs`, docs/signals.md.

Each line is `{file, index, known, signal}` or `{file, index, reason}`. A body that is no JSON at all has no index. The
exit code is 1 if anything is malformed, 2 if a file cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.domain import Signal
from shared.signals import Malformed, is_known, parse
from shared.signals.reference import markdown

_REFERENCE = Path(__file__).parents[2] / "docs" / "signals.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Says what each file's payloads become; the exit code is as the module says."""
    parser = argparse.ArgumentParser(prog="python -m shared.signals", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help='payloads, each one JSON document; "-" is the input')
    parser.add_argument("--docs", action="store_true", help="write docs/signals.md instead")
    chosen = parser.parse_args(arguments)
    if chosen.docs == bool(chosen.files):
        parser.error("give files, or --docs alone")
    if chosen.docs:
        _REFERENCE.write_text(markdown(), encoding="utf-8")
        print(f"wrote {_REFERENCE}")
        return 0
    try:
        return max([_tell(file) for file in chosen.files])
    except BrokenPipeError:  # whoever reads has read enough
        sys.stderr.close()
        return 0


def _tell(file: str) -> int:
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        print(f"{file}: {error}", file=sys.stderr)
        return 2
    try:
        parsed = parse(body, datetime.now(UTC))
    except Malformed as error:
        _print(file=file, reason=str(error))
        return 1
    refused = {each.index: each.reason for each in parsed.refused}
    signals = iter(parsed.signals)
    for index in range(len(parsed.signals) + len(refused)):
        if index in refused:
            _print(file=file, index=index, reason=refused[index])
        else:
            signal = next(signals)
            _print(file=file, index=index, known=is_known(signal.kind), signal=_plain(signal))
    return 1 if refused else 0


def _plain(signal: Signal) -> dict[str, Any]:
    return {
        "id": signal.id,
        "source": signal.source,
        "kind": signal.kind,
        "at": signal.at.isoformat(),
        "subjects": list(signal.subjects),
        "fields": dict(signal.fields),
    }


def _print(**line: Any) -> None:
    print(json.dumps(line))


if __name__ == "__main__":
    sys.exit(main())
