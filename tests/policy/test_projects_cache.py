"""The documents of projects in force: each reloaded alone, refused alone, and kept for processes that start later."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.policy import FilePolicySource, FolderProjects, PolicyCache
from shared.policy.holding import DocumentState
from shared.policy.sources import PolicyText
from tests.policy.documents import as_yaml, target
from tests.policy.test_cache import Wristwatch
from tests.policy.two_layers import deployment_in, grant, platform, project


class Counted(FolderProjects):
    """A folder that counts what is read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[str] = []
        self.lists = 0

    async def listed(self) -> Mapping[str, str]:
        self.lists += 1
        return await super().listed()

    async def read(self, name: str) -> str:
        self.reads.append(name)
        return await super().read(name)


class Shelf:
    """Kept versions in memory, as several processes share them."""

    def __init__(self) -> None:
        self.texts: dict[str, PolicyText] = {}
        self.writes = 0

    async def load(self) -> Mapping[str, PolicyText]:
        return dict(self.texts)

    async def keep(self, source: str, text: PolicyText, at: datetime) -> None:
        self.writes += 1
        self.texts[source] = text

    async def forget(self, source: str) -> None:
        self.texts.pop(source, None)


class Place:
    """A platform's document and a folder of projects' documents, and processes that read them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.projects = folder, folder / "platform.yaml", folder / "projects"
        self.projects.mkdir()
        self.watch = Wristwatch()
        self.shelf = Shelf()
        self.source = Counted(self.projects)
        self.write_platform(platform())

    def write_platform(self, whole: dict[str, Any]) -> None:
        self.file.write_text(as_yaml(whole))

    def write(self, whole: dict[str, Any], name: str = "") -> None:
        (self.projects / (name or f"{whole['project']}.yaml")).write_text(as_yaml(whole))

    def process(self, *, kept: bool = True) -> PolicyCache:
        """A process that starts now."""
        source = FilePolicySource(self.file)
        return PolicyCache(source, self.watch, 15, projects=self.source, kept=self.shelf if kept else None)

    async def targets(self, cache: PolicyCache) -> list[str]:
        """The names of what is watched, some time later."""
        self.watch.advance(15)
        return sorted(one.name for one in (await cache.current()).targets)


def document(cache: PolicyCache, name: str) -> DocumentState:
    (found,) = (state for state in cache.documents if Path(state.source).name == name)
    return found


def paths(state: DocumentState) -> list[str]:
    return [] if state.refused is None else [problem.path.split(" ")[0] for problem in state.refused.problems]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_document_that_is_dropped_in_is_in_force_and_one_that_is_taken_out_is_not(place: Place) -> None:
    cache = place.process()
    assert await place.targets(cache) == []
    place.write(project("red"))
    assert await place.targets(cache) == ["red.chat"]
    place.write(project("green"))
    assert await place.targets(cache) == ["green.chat", "red.chat"]
    (place.projects / "red.yaml").unlink()
    assert await place.targets(cache) == ["green.chat"]
    assert [Path(state.source).name for state in cache.documents] == ["platform.yaml", "green.yaml"]


async def test_what_has_not_changed_is_not_read_again(place: Place) -> None:
    place.write_platform(platform(projects=[grant(f"p{number}") for number in range(60)]))
    for number in range(60):
        place.write(project(f"p{number}"))
    (place.projects / "README.md").write_text("not a policy")
    cache = place.process()
    first = await cache.current()
    assert len(first.targets) == len(place.source.reads) == 60
    for _ in range(5):
        assert len(await place.targets(cache)) == 60
    assert await cache.current() is first
    assert (len(place.source.reads), place.source.lists) == (60, 6)
    place.write(project("p7", limits={"max_instances": 2}))
    await place.targets(cache)
    assert place.source.reads[60:] == ["p7.yaml"]


BAD: list[tuple[dict[str, Any], str]] = [
    (project("red", colour="blue"), "colour"),
    (project("red", limits={"max_instances": 40}), "limits.max_instances"),
    (project("red", target(deployment=deployment_in("green"))), "targets[0].deployment"),
    (project("green"), "project"),
]


@pytest.mark.parametrize(("bad", "path"), BAD)
async def test_a_bad_version_is_refused_alone_and_the_last_good_one_stays(
    place: Place, bad: dict[str, Any], path: str
) -> None:
    place.write_platform(platform(limits={"max_instances": 20}))
    for name in ("red", "green"):
        place.write(project(name))
    cache = place.process()
    before = await cache.current()
    good = document(cache, "red.yaml")
    place.write(bad, "red.yaml")
    place.watch.advance(15)

    assert (await cache.current()).targets == before.targets
    red = document(cache, "red.yaml")
    assert path in paths(red)
    assert (red.etag, red.since) == (good.etag, good.since)
    assert red.refused is not None
    assert red.refused.at == place.watch.now
    assert document(cache, "green.yaml").refused is None
    assert cache.refused is None

    place.write(project("red", limits={"max_instances": 3}))
    await place.targets(cache)
    red = document(cache, "red.yaml")
    assert (red.refused, red.since) == (None, place.watch.now)


async def test_a_process_that_starts_while_versions_are_bad_has_the_last_good_ones(place: Place) -> None:
    place.write(project("red"))
    await place.process().current()
    place.write(project("red", colour="blue"))
    place.file.write_text("version: 7\n")

    later = place.process()
    assert await place.targets(later) == ["red.chat"]
    assert later.refused is not None
    assert paths(document(later, "red.yaml")) == ["colour"]
    without = place.process(kept=False)
    with pytest.raises(Exception, match="There is no valid policy"):
        await without.current()


async def test_versions_are_kept_once_however_many_processes_there_are(place: Place) -> None:
    place.write(project("red"))
    for _ in range(3):
        await place.process().current()
    assert place.shelf.writes == 2


async def test_a_platform_that_becomes_stricter_holds_what_was_good_and_says_so(place: Place) -> None:
    place.write(project("red", defaults={"max": 6}))
    cache = place.process()
    await cache.current()
    place.write_platform(platform(limits={"max_instances": 4}, defaults={}))

    for process in (cache, place.process()):
        assert await place.targets(process) == ["red.chat"]
        (red,) = (await process.current()).targets
        assert red.scaling.max == 4
        state = document(process, "red.yaml")
        assert state.refused is None
        assert [(problem.path, problem.line) for problem in state.held] == [("defaults.max", 8)]

    place.write(project("red", defaults={"max": 5}))
    await place.targets(cache)
    assert paths(document(cache, "red.yaml")) == ["defaults.max"], "a new version must fit what holds now"


async def test_a_document_that_waits_for_its_grant_is_in_force_as_soon_as_it_has_it(place: Place) -> None:
    place.write(project("blue"))
    cache = place.process()
    assert await place.targets(cache) == []
    assert paths(document(cache, "blue.yaml")) == ["project"]
    place.write_platform(platform(projects=[grant("blue")]))
    assert await place.targets(cache) == ["blue.chat"]
    assert document(cache, "blue.yaml").refused is None


async def test_a_folder_that_cannot_be_listed_takes_nothing_away(place: Place) -> None:
    place.write(project("red"))
    cache = place.process()
    await cache.current()
    place.projects.rename(place.folder / "elsewhere")
    assert await place.targets(cache) == ["red.chat"]
    assert cache.list_refused is not None
    assert "could not be read" in cache.list_refused.problems[0].reason
    (place.folder / "elsewhere").rename(place.projects)
    await place.targets(cache)
    assert cache.list_refused is None


async def test_whoever_is_about_to_act_reads_afresh(place: Place) -> None:
    place.write(project("red"))
    cache = place.process()
    await cache.current()
    (place.projects / "red.yaml").unlink()
    assert [one.name for one in (await cache.current()).targets] == ["red.chat"], "as old as it may be"
    assert (await cache.current(fresh=True)).targets == ()


async def test_kept_versions_that_cannot_be_read_hinder_nothing(place: Place) -> None:
    async def fails() -> Mapping[str, PolicyText]:
        raise OSError("no storage")

    place.shelf.load = fails  # type: ignore[method-assign]
    place.write(project("red"))
    assert await place.targets(place.process()) == ["red.chat"]


async def test_tags_are_read_only_where_rules_go_by_them(place: Place) -> None:
    asked = []
    key = deployment_in("red").split("/onlineEndpoints")[0].lower()

    async def tags() -> Mapping[str, Mapping[str, str]]:
        asked.append(place.watch.now)
        return {key: {"env": "dev"}}

    place.write(project("red"))
    cache = PolicyCache(FilePolicySource(place.file), place.watch, 15, projects=place.source, read_tags=tags)
    await cache.current()
    assert asked == []
    place.write_platform(platform(environments={"dev": {"workspaces": [{"tags": {"env": "dev"}}]}}))
    for _ in range(10):
        await place.targets(cache)
    assert [one.environment for one in (await cache.current()).targets] == ["dev"]
    assert len(asked) == 1
