"""What is generated from the models is current, and what ships with the repository is valid."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from shared.policy import review_policy, schema
from shared.policy.__main__ import main
from shared.policy.reference import markdown
from shared.policy.schema import platform_format, project_format
from tests.policy.documents import as_yaml, document, target

REPOSITORY = Path(__file__).parents[2]
POLICIES = REPOSITORY / "infra" / "policies"
SAMPLES = sorted(POLICIES.glob("*.yaml"))
PROJECTS = sorted((POLICIES / "projects").glob("*.yaml"))


def objects(node: Any) -> list[dict[str, Any]]:
    """Every mapping of the schema that describes a mapping of the document."""
    if isinstance(node, list):
        return [found for item in node for found in objects(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("type") == "object" and "properties" in node else []
    return own + [found for item in node.values() for found in objects(item)]


def test_the_schema_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0

    written = (POLICIES / "policy.schema.json").read_text()
    assert written == capsys.readouterr().out, (
        "run `python -m shared.policy schema > infra/policies/policy.schema.json`"
    )


def test_the_schema_file_of_projects_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--project"]) == 0

    written = (POLICIES / "project.schema.json").read_text()
    assert written == capsys.readouterr().out, (
        "run `python -m shared.policy schema --project > infra/policies/project.schema.json`"
    )


def test_the_reference_is_current() -> None:
    assert (REPOSITORY / "docs" / "policy.md").read_text() == markdown(), "run `python -m shared.policy docs`"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_field_has_a_description_and_every_number_its_unit_and_bounds() -> None:
    whole = schema()
    fields = [(name, node) for part in objects(whole) for name, node in part["properties"].items()]
    numbers = {name: node for name, node in whole["$defs"].items() if node.get("type") in ("number", "integer")}
    numbers |= {name: node for name, node in fields if node.get("type") in ("number", "integer")}
    del numbers["version"]  # a name, not a quantity

    assert len(fields) > 30
    assert [name for name, node in fields if not platform_format().resolved(node).get("description")] == []
    assert len(numbers) > 5
    assert [name for name, node in numbers.items() if not {"x-unit", "minimum", "maximum"} <= node.keys()] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_samples_are_valid_and_the_schema_accepts_them(sample: Path) -> None:
    text = sample.read_text()

    reviewed = review_policy(text, sample.name)
    assert reviewed.policy.targets or reviewed.policy.projects
    assert list(Draft202012Validator(schema()).iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("sample", PROJECTS, ids=lambda path: path.name)
def test_samples_of_projects_are_valid_and_their_schema_accepts_them(sample: Path) -> None:
    values = yaml.safe_load(sample.read_text().replace("mode: off", "mode: 'off'"))

    assert list(Draft202012Validator(project_format().schema).iter_errors(values)) == []


def test_the_samples_of_both_kinds_fit_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(PROJECTS) >= 2
    assert main(["check", str(POLICIES / "platform.yaml"), "--projects", str(POLICIES / "projects")]) == 0
    assert "warning" not in capsys.readouterr().out


def test_the_sample_to_start_from_has_no_warnings() -> None:
    assert POLICIES / "sample.yaml" in SAMPLES
    assert review_policy((POLICIES / "sample.yaml").read_text(), "sample").warnings == ()


@pytest.mark.parametrize(
    "wrong",
    [
        document(version=2),
        document(colour="red"),
        document(target(scaling={"max": 51})),
        document(target(scaling={"service_rate": {"learn": True, "per_instance_per_s": 1}})),
        document(target(mode="on")),
        document(target(name="Chat GPT", deployment="/subscriptions/x")),
    ],
)
def test_the_schema_refuses_what_an_editor_can_tell(wrong: dict[str, Any]) -> None:
    assert not Draft202012Validator(schema()).is_valid(wrong)


def test_check_prints_problems_one_a_line_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, missing = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "missing.yaml"
    good.write_text(as_yaml(document(target(scaling={"respect_manual_s": 0}))))
    bad.write_text("version: 1\nlimits: {max_instances: 99}\ncolour: red\n")

    assert main(["check", str(good), str(bad), str(missing)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"warning: {good}:9: targets[0].scaling.respect_manual_s ('chat'): ")
    assert lines[1].startswith(f"{good}: valid, 1 target, version ")
    assert lines[2].startswith(f"{bad}:2: limits.max_instances: is 99, which is too large.")
    assert lines[3].startswith(f"{bad}:3: colour: is not a field")
    assert lines[4].startswith(f"{missing}: document: could not be read: No such file or directory.")
    assert len(lines) == 5


def test_check_passes_with_warnings(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(as_yaml(document(target(scaling={"respect_manual_s": 0}))))

    assert main(["check", str(file)]) == 0


def test_importing_the_policy_costs_pydantic_only() -> None:
    program = (
        "import sys, shared.policy, shared.policy.blob_source\n"
        "print([name for name in ('azure', 'yaml', 'aiohttp', 'jsonschema') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
