"""What happens in the demo beside the surge: a person approves, the host dies, signals storm, changes freeze.

Each chapter waits for its moment, does one thing that people or machines do to such a system, and says so. It acts from
outside only: mail is read in the simulated mailbox, links are opened without any key, the host is killed with -9,
signals go into the Service Bus queue, and the freeze is written into the policy's file.
"""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from local.demo.timeline import Timeline
from local.host_process import HostProcess
from local.world import SIGNALS_QUEUE, SUBSCRIPTION, World

ADA = "ada@example.com"
READS_MAIL_FOR_S, DOWN_FOR_S = 2.0, 4.0
DISTINCT_SIGNALS, DUPLICATES = 140, 60
STORAGE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/Microsoft.Storage/storageAccounts/demodata"
PEOPLE = f"""
approvals:
  - name: growth
    when: {{direction: grow}}
    who: [{ADA}]
    deadline_s: 120
    tolerance_instances: 7
"""
FREEZE = """
freezes:
  - name: release-day
    reason: The release is rehearsed, nothing may move
    zone: Europe/Berlin
    once: {from: 2026-01-01 00:00, until: 2199-12-31 00:00}
"""
_LINK = re.compile(r"https?://[^\s\"'<>()]+/approvals/link\?token=[^\s\"'<>()&]+")
PATIENCE_S = 60.0


class StoryStuck(RuntimeError):
    """A chapter's moment did not come; the message says which."""


@dataclass(slots=True)
class Story:
    """Runs beside the timeline; what it did is checked at the end against what the app wrote down."""

    world: World
    host: HostProcess
    timeline: Timeline
    policy: Path
    chapters: list[str] = field(default_factory=list)
    changes_before_approval: int = 0
    followed: set[str] = field(default_factory=set)
    frozen_refusals: int = 0
    patches_while_frozen: int = 0

    async def run(self) -> None:
        """All chapters, one after the other; Ada goes on approving what comes later."""
        await self._a_person_approves()
        ada = asyncio.create_task(self._ada_goes_on())
        try:
            await self._the_host_dies()
            await self._signals_storm()
            await self._changes_freeze()
        finally:
            ada.cancel()
            await asyncio.gather(ada, return_exceptions=True)

    # ---- the chapters

    async def _a_person_approves(self) -> None:
        await self._until("a mail that asks for approval", self._asked)
        self._say(f"Mail for {ADA}: {self._mails()[-1]['content']['subject']}")
        await asyncio.sleep(READS_MAIL_FOR_S)
        self.changes_before_approval = len(self._accepted())
        (link,) = self._approving_links()[-1:]
        self.followed.add(link)
        async with aiohttp.ClientSession() as browser:
            async with browser.get(link) as page:
                self._say(f"Ada opens the link: a page ({page.status}), and nothing has happened yet")
            async with browser.post(link, data={"reason": "the queue is real"}) as answer:
                self._say(f"Ada approves, with a reason: {answer.status}")
            async with browser.post(link) as again:
                self._say(f"A second click on the same link: {again.status}, it was used")
        self.chapters.append("approval")

    async def _ada_goes_on(self) -> None:
        while True:
            for link in [link for link in self._approving_links() if link not in self.followed]:
                self.followed.add(link)
                async with aiohttp.ClientSession() as browser, browser.post(link) as answer:
                    done = answer.status == HTTPStatus.OK
                self._say("Ada approves the next one too" if done else "Ada is too late: it is not wanted any more")
            await asyncio.sleep(READS_MAIL_FOR_S)

    async def _the_host_dies(self) -> None:
        before = self.changes_before_approval
        await self._until("the approved change at Azure", lambda: len(self._accepted()) > before)
        await self.host.kill()
        self._say(f"The host is killed (-9) while Azure works on the change; it stays away for {DOWN_FOR_S:.0f} s")
        await asyncio.sleep(DOWN_FOR_S)
        await self.host.start()
        self._say("The host is back, with what it had written down")
        self.chapters.append("host killed")

    async def _signals_storm(self) -> None:
        dice = random.Random(3)
        signals = [_blob_created(number, dice) for number in range(DISTINCT_SIGNALS)]
        deliveries = signals + dice.sample(signals, DUPLICATES)
        dice.shuffle(deliveries)
        for body in deliveries:
            self.world.broker.queue(SIGNALS_QUEUE).send(body)
        self._say(f"{len(deliveries)} signals in disorder, {DUPLICATES} of them twice; one more is no JSON at all")
        self.world.broker.queue(SIGNALS_QUEUE).send(b"{broken")
        self.chapters.append("storm")

    async def _changes_freeze(self) -> None:
        before = self.policy.read_text(encoding="utf-8")
        await self._until("the end of the surge", self._is_ebbing)  # before anything is given back
        self.policy.write_text(before + FREEZE, encoding="utf-8")
        self._say("A freeze window begins: written into the policy, in force within seconds, without a restart")
        patches = len(self._accepted())
        await self._until("a change that the freeze refused", self._refused_by_freeze)
        self.frozen_refusals = sum("(frozen)" in entry["summary"] for entry in self.timeline.entries.values())
        self.patches_while_frozen = len(self._accepted()) - patches
        self.policy.write_text(before, encoding="utf-8")
        self._say("The freeze is over")
        self.chapters.append("freeze")

    # ---- eyes and hands

    def _say(self, words: str) -> None:
        print(f"         ★ {words}", flush=True)

    async def _until(self, what: str, there: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            found = there()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.3)
        raise StoryStuck(f"after {PATIENCE_S:.0f} s there is still no sign of {what}")

    def _mails(self) -> list[dict[str, Any]]:
        return [received.body for received in self.world.cloud.inbox.of("mail", ADA)]

    def _asked(self) -> bool:
        return any(_LINK.search(json.dumps(mail)) for mail in self._mails())

    def _approving_links(self) -> list[str]:
        """The first link of every question, oldest first: approve comes before deny."""
        found = [_LINK.search(str(mail["content"]["plainText"])) for mail in self._mails()]
        return [link.group() for link in found if link is not None]

    def _accepted(self) -> list[Any]:
        mutations = self.world.cloud.mutations()
        return [record for record in mutations if record.accepted and "/deployments/" in record.path]

    def _is_ebbing(self) -> bool:
        return self.timeline.peak_depth > 0 and self.world.depth() <= max(3, self.timeline.peak_depth / 4)

    def _refused_by_freeze(self) -> bool:
        return any(
            entry["kind"] == "outcome" and "(frozen)" in entry["summary"] for entry in self.timeline.entries.values()
        )


def _blob_created(number: int, dice: random.Random) -> bytes:
    """An event that no loop handles yet: it is recorded and shown, and wakes nobody."""
    event = {
        "id": str(UUID(int=dice.getrandbits(128))),
        "topic": STORAGE,
        "subject": f"/blobServices/default/containers/incoming/blobs/scan-{number}.tif",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-05T12:00:00Z",
        "data": {
            "api": "PutBlob",
            "contentType": "image/tiff",
            "contentLength": dice.randrange(1, 1 << 20),
            "blobType": "BlockBlob",
            "url": f"https://demodata.blob.core.windows.net/incoming/scan-{number}.tif",
            "sequencer": f"{number:020d}",
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }
    return json.dumps(event).encode()
