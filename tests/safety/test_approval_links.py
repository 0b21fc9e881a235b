"""Links over Azurite: which keys sign and verify them, and what a question does without a key."""

from datetime import timedelta

import pytest

from shared.estate.secret_failures import SecretMissing, VaultUnreachable
from shared.records import Outbox
from shared.safety.approvals.links import LinkInvalid, LinkSigner
from shared.safety.approvals.words import asked_id
from tests.safety.approval_office import ADA, GROW, Office, Version, ask


async def token(office: Office, who: str = ADA, verdict: str = "approve") -> str:
    row = await Outbox(office.tables).get(asked_id(await ask(office.desk()), who))
    assert row is not None
    return row.value.notice.links[verdict].partition("token=")[2]


async def test_a_link_signed_with_a_key_that_this_process_has_not_seen_is_read(office: Office) -> None:
    office.keys.vault.insert(0, Version("v2", "n" * 48))
    office.keys.known = list(office.keys.vault)
    newest = await token(office)
    office.keys.known = [Version("v1")]  # another process, whose copy is older
    link, request = await office.desk().by_link(newest)
    assert (link.recipient, link.verdict, request.id, office.keys.refetched) == (ADA, "approve", GROW.id, 1)


async def test_the_newest_version_signs_and_old_ones_verify(office: Office) -> None:
    old = await token(office)
    office.keys.vault.insert(0, Version("v2", "n" * 48))
    office.keys.known = list(office.keys.vault)
    assert (await office.desk().by_link(old))[0].recipient == ADA
    office.keys.vault = office.keys.known = [Version("v2", "n" * 48)]  # v1 was disabled
    with pytest.raises(LinkInvalid):
        await office.desk().by_link(old)


async def test_links_of_one_question_made_twice_are_the_same_vote(office: Office) -> None:
    first = await token(office)
    request = await ask(office.desk())
    office.clock.at += timedelta(seconds=5)
    links = await LinkSigner(office.keys, "https://watch.example.com").links(request, ADA, office.clock())
    again = links["approve"].partition("token=")[2]
    assert first != again
    one, two = [await office.desk().by_link(text) for text in (first, again)]
    assert one[0].id == two[0].id


async def test_a_short_key_signs_nothing(office: Office) -> None:
    office.keys.known = [Version("v1", "too short")]
    await ask(office.desk())
    row = await Outbox(office.tables).get(asked_id(await ask(office.desk()), ADA))
    assert row is not None
    assert list(row.value.notice.links) == ["explain"]
    assert "has 9 bytes" in row.value.notice.facts["how to answer"]


async def test_a_vault_that_does_not_answer_delays_the_question(office: Office) -> None:
    office.keys.failure = VaultUnreachable("no answer")
    with pytest.raises(VaultUnreachable):
        await ask(office.desk())
    unanswered = await office.desk().about(GROW.id)
    assert unanswered is not None
    assert not unanswered.told
    office.keys.failure = SecretMissing("no such secret")
    assert (await ask(office.desk())).told


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é" * 9, "x" * 100_000, "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_no_token_is_refused(office: Office, text: str) -> None:
    with pytest.raises(LinkInvalid, match="not valid"):
        await office.desk().by_link(text)
