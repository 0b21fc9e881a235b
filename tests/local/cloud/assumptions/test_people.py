"""Of mail and Teams: what a client sees under each value."""

import uuid

import aiohttp
from azure.communication.email.aio import EmailClient
from azure.core.exceptions import ResourceExistsError
from azure.core.rest import HttpRequest

from local.cloud import Cloud
from shared.estate.identity import make_credential
from tests.local.cloud.clients import ArmClient


async def test_mail_repeated_operation_id(arm: ArmClient, cloud: Cloud) -> None:
    mail = {
        "senderAddress": "watchkeeper@example.com",
        "recipients": {"to": [{"address": "ada@example.com"}]},
        "content": {"subject": "s", "plainText": "t"},
    }
    credential = make_credential(identity_endpoint=cloud.environment()["IDENTITY_ENDPOINT"], client_id="")
    async with credential, EmailClient("https://demo.communication.azure.com", credential) as client:
        for value, mails, refused in (("same_operation", 1, False), ("sends_again", 2, False), ("conflict", 1, True)):
            cloud.assumptions["mail.repeated_operation_id"] = value
            name, before = str(uuid.uuid4()), len(cloud.inbox.of("mail"))
            await client.begin_send(mail, operation_id=name, polling=False)
            try:
                await client.begin_send(mail, operation_id=name, polling=False)
                assert not refused
            except ResourceExistsError:
                assert refused
            assert len(cloud.inbox.of("mail")) - before == mails


async def test_teams_accepted_status(arm: ArmClient, cloud: Cloud) -> None:
    url = "https://prod-00.westeurope.logic.azure.com/workflows/w/triggers/manual/paths/invoke"
    async with aiohttp.ClientSession(trust_env=True) as http:
        for value in ("202", "200"):
            cloud.assumptions["teams.accepted_status"] = value
            async with http.post(url, json={"type": "message", "attachments": [{}]}) as answer:
                assert answer.status == int(value)


async def test_mail_unknown_operation(arm: ArmClient, cloud: Cloud) -> None:
    credential = make_credential(identity_endpoint=cloud.environment()["IDENTITY_ENDPOINT"], client_id="")
    async with credential, EmailClient("https://demo.communication.azure.com", credential) as client:
        for value in ("404", "400"):
            cloud.assumptions["mail.unknown_operation"] = value
            request = HttpRequest("GET", f"/emails/operations/{uuid.uuid4()}", params={"api-version": "2025-09-01"})
            assert (await client.send_request(request)).status_code == int(value)
