"""The policy in force: reloaded without a restart, and never replaced by a version that is not good."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.policy import FilePolicySource, PolicyCache, PolicyText, PolicyUnavailable, PolicyUnreadable

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
GOOD = "version: 1\nlimits: {max_instances: %d}\n"
BAD = "version: 1\nlimits: {max_instances: 99}\n"


class Wristwatch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, delay_s: float) -> None:
        self.now += timedelta(seconds=delay_s)


@dataclass(frozen=True)
class PolicyFile:
    """The document that the cache reads."""

    path: Path

    def write(self, content: str | bytes) -> None:
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)

    def remove(self) -> None:
        self.path.unlink()


class CountingSource(FilePolicySource):
    """The file source, counting how often it is asked; each answer takes a turn of the event loop."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[str | None] = []

    async def read(self, known_etag: str | None) -> PolicyText | None:
        self.asked.append(known_etag)
        await asyncio.sleep(0)
        return await super().read(known_etag)


@pytest.fixture
def file(tmp_path: Path) -> PolicyFile:
    return PolicyFile(tmp_path / "policy.yaml")


@pytest.fixture
def watch() -> Wristwatch:
    return Wristwatch()


@pytest.fixture
def source(file: PolicyFile) -> CountingSource:
    return CountingSource(file.path)


@pytest.fixture
def cache(source: CountingSource, watch: Wristwatch) -> PolicyCache:
    return PolicyCache(source, watch, max_age_s=15)


async def limit(cache: PolicyCache) -> int:
    return (await cache.current()).limits.max_instances


async def test_a_new_version_comes_into_force_without_a_restart(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    file.write(GOOD % 5)
    assert await limit(cache) == 5

    file.write(GOOD % 6)
    watch.advance(14.9)
    assert await limit(cache) == 5
    watch.advance(0.1)
    assert await limit(cache) == 6
    assert cache.refused is None


async def test_the_source_is_asked_at_most_every_max_age_and_by_etag(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch, source: CountingSource
) -> None:
    file.write(GOOD % 5)
    for _ in range(31):
        await asyncio.gather(*(limit(cache) for _ in range(20)))
        watch.advance(1)

    assert len(source.asked) == 3
    assert source.asked[0] is None
    assert source.asked[1] == source.asked[2] is not None


async def test_an_unchanged_policy_stays_the_same_object(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    file.write(GOOD % 5)
    first = await cache.current()
    watch.advance(60)

    assert await cache.current() is first


async def test_a_bad_version_is_refused_and_the_last_good_one_stays(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch, source: CountingSource
) -> None:
    file.write(GOOD % 5)
    await cache.current()
    file.write(BAD)
    watch.advance(15)
    refused_at = watch.now

    assert await limit(cache) == 5
    watch.advance(100)
    assert await limit(cache) == 5

    refusal = cache.refused
    assert refusal is not None
    assert refusal.at == refused_at
    assert [(problem.path, problem.line) for problem in refusal.problems] == [("limits.max_instances", 2)]
    assert refusal.etag == source.asked[-1], "the bad version is judged once, not at every look"


async def test_a_mended_version_ends_the_refusal(file: PolicyFile, cache: PolicyCache, watch: Wristwatch) -> None:
    file.write(GOOD % 5)
    await cache.current()
    file.write(BAD)
    watch.advance(15)
    await cache.current()
    file.write(GOOD % 5)
    watch.advance(15)

    assert await limit(cache) == 5
    assert cache.refused is None


async def test_a_source_that_fails_leaves_the_policy_in_force_and_says_since_when(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    file.write(GOOD % 5)
    await cache.current()
    file.remove()
    watch.advance(15)
    failed_at = watch.now
    assert await limit(cache) == 5
    watch.advance(15)
    assert await limit(cache) == 5

    assert cache.refused is not None
    assert (cache.refused.etag, cache.refused.at) == (None, failed_at)
    assert "could not be read" in cache.refused.problems[0].reason

    file.write(GOOD % 5)
    watch.advance(15)
    assert await limit(cache) == 5
    assert cache.refused is None


async def test_a_refused_version_is_still_refused_after_the_source_failed(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    file.write(GOOD % 5)
    await cache.current()
    for text in (BAD, None, BAD):
        if text is None:
            file.remove()
        else:
            file.write(text)
        watch.advance(15)
        await cache.current()
        assert cache.refused is not None
        assert (cache.refused.etag is None) == (text is None), "what is wrong now goes before what was wrong earlier"

    assert cache.refused is not None
    assert cache.refused.at == START + timedelta(seconds=15)


async def test_without_any_good_version_it_says_what_to_do(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    with pytest.raises(PolicyUnavailable) as missing:
        await cache.current()
    assert str(file.path) in str(missing.value)
    assert "Write the policy to that file" in str(missing.value)

    file.write(BAD)
    watch.advance(15)
    with pytest.raises(PolicyUnavailable) as bad:
        await cache.current()
    assert "without a restart" in str(bad.value)
    assert f"{file.path}:2: limits.max_instances: is 99, which is too large." in str(bad.value)

    file.write(GOOD % 5)
    watch.advance(15)
    assert await limit(cache) == 5


async def test_a_missing_policy_is_not_asked_for_at_every_call(cache: PolicyCache, source: CountingSource) -> None:
    for _ in range(5):
        with pytest.raises(PolicyUnavailable):
            await cache.current()

    assert len(source.asked) == 1


async def test_a_clock_that_is_set_back_does_not_stop_the_reloading(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    file.write(GOOD % 5)
    await cache.current()
    file.write(GOOD % 6)
    watch.advance(-3600)

    assert await limit(cache) == 6


async def test_warnings_are_those_of_the_version_in_force(
    file: PolicyFile, cache: PolicyCache, watch: Wristwatch
) -> None:
    assert not cache.warnings
    file.write("version: 1\ndefaults: {max: 4, respect_manual_s: 0}\n")
    await cache.current()
    file.write(BAD)
    watch.advance(15)
    await cache.current()

    assert [warning.path for warning in cache.warnings] == ["defaults.respect_manual_s"]


async def test_the_file_source_says_nothing_while_nothing_changed(file: PolicyFile) -> None:
    source = FilePolicySource(file.path)
    file.write(b"\xef\xbb\xbfversion: 1\n")

    first = await source.read(None)
    assert first is not None
    assert first.text == "version: 1\n"
    file.write(b"\xef\xbb\xbfversion: 1\n")
    assert await source.read(first.etag) is None
    file.write("version: 2\n")
    second = await source.read(first.etag)
    assert second is not None
    assert (second.text, second.etag != first.etag) == ("version: 2\n", True)


async def test_the_file_source_says_why_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnreadable, match=r"could not be read: Is a directory\. Write the policy to that file"):
        await FilePolicySource(tmp_path).read(None)
