"""Writes docs/assumptions.md: `python -m shared.assumptions`."""

from pathlib import Path

from shared.assumptions import REGISTER


def markdown() -> str:
    """The register as the page `docs/assumptions.md`."""
    lines = [
        "# Assumptions about Azure",
        "",
        "Generated from `shared/assumptions/` by `python -m shared.assumptions`; do not edit. The local Azure (for",
        "those of `durable.` the local host, for those of `auth.` the tests) takes each as a switch, and the tests",
        "pass under every value.",
        "*Acts*: also in the crash tests' pairwise covering array.",
        "",
    ]
    for a in REGISTER:
        values = ", ".join(f"**{v}**" if v == a.default else v for v in a.values)
        lines += [
            f"## `{a.name}`",
            "",
            a.question,
            "",
            f"* values (default in bold): {values}",
            f"* source: {a.source}",
            f"* if wrong: {a.breaks_if_wrong}",
            f"* acts: {'yes' if a.acts else 'no'}; probe: {a.probe or 'reading alone cannot settle it'}",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    page = Path(__file__).parents[2] / "docs" / "assumptions.md"
    page.write_text(markdown(), encoding="utf-8")
    print(f"wrote {page}")
