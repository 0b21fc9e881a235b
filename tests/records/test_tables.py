"""Opening tables from app settings, and the table's answers through the real client, lost ones too."""

import asyncio
from typing import Any

import pytest

from shared.records import AnswerLost, Conflict, SettingsMissing, Tables, open_tables
from shared.records.rows import Entity
from shared.records.table import Table
from tests.records.lossy_proxy import LossyProxy


def entity(row: str = "r", partition: str = "p", **columns: Any) -> Entity:
    return Entity(partition=partition, row=row, columns={"schema": 1, **columns})


@pytest.fixture
def table(tables: Tables) -> Table:
    return tables.table("Proof")


class Credential:
    """Stands for azure-identity's; no request is made with it here."""

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None: ...

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *error: object) -> None: ...


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, "http://127.0.0.1:10002/devstoreaccount1"),
        (
            {"AzureWebJobsStorage": "DefaultEndpointsProtocol=https;AccountName=keeper;AccountKey=aGVsbG8="},
            "https://keeper.table.core.windows.net",
        ),
        ({"AzureWebJobsStorage__accountName": "keeper"}, "https://keeper.table.core.windows.net"),
        (
            {
                "AzureWebJobsStorage__accountName": "keeper",
                "AzureWebJobsStorage__tableServiceUri": "https://keeper.table.core.usgovcloudapi.net",
            },
            "https://keeper.table.core.usgovcloudapi.net",
        ),
    ],
)
async def test_settings_name_the_account(settings: dict[str, str], url: str) -> None:
    async with open_tables(settings, Credential()) as opened:
        assert opened.table("Proof")._client.url == url


def test_settings_that_name_no_account_are_refused_with_what_to_set() -> None:
    with pytest.raises(SettingsMissing, match="AzureWebJobsStorage__accountName"):
        open_tables({"AzureWebJobsStorage": ""})
    with pytest.raises(SettingsMissing, match="credential"):
        open_tables({"AzureWebJobsStorage__accountName": "keeper"})


async def test_a_table_name_that_azure_would_not_take_is_refused(azurite: str) -> None:
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix="with-dash") as opened:
        with pytest.raises(ValueError, match="with-dashProof"):
            opened.table("Proof")


async def test_a_table_that_was_never_written_reads_as_empty(table: Table) -> None:
    assert await table.get("p", "r") is None
    assert [found async for found in table.query("PartitionKey eq @p", {"p": "p"})] == []
    await table.delete("p", "r")


async def test_each_kind_of_write_creates_the_table(azurite: str, prefix: str) -> None:
    for number, name in enumerate(("insert", "put", "write_together")):
        async with open_tables({"AzureWebJobsStorage": azurite}, prefix=f"{prefix}N{number}") as opened:
            table = opened.table("Proof")
            await (table.write_together([entity()]) if name == "write_together" else getattr(table, name)(entity()))
            assert await table.get("p", "r") is not None


async def test_two_that_create_the_table_at_once_both_write(azurite: str, prefix: str) -> None:
    settings = {"AzureWebJobsStorage": azurite}
    async with open_tables(settings, prefix=prefix) as one, open_tables(settings, prefix=prefix) as two:
        await asyncio.gather(
            *(opened.table("Proof").insert(entity(row=f"{n}")) for n, opened in enumerate([one, two] * 4))
        )
        found = [row.row async for row in one.table("Proof").query("PartitionKey eq @p", {"p": "p"})]
    assert sorted(found) == [str(number) for number in range(8)]


async def test_two_prefixes_do_not_meet(azurite: str, prefix: str, table: Table) -> None:
    await table.insert(entity(n=1))
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=f"{prefix}Other") as other:
        assert await other.table("Proof").get("p", "r") is None


async def test_insert_replace_and_delete_know_an_older_etag(table: Table) -> None:
    first = await table.insert(entity(n=1, old="x"))
    with pytest.raises(Conflict):
        await table.insert(entity(n=2))
    second = await table.replace(entity(n=2), first)
    with pytest.raises(Conflict):
        await table.replace(entity(n=3), first)
    with pytest.raises(Conflict):
        await table.delete("p", "r", first)
    stored = await table.get("p", "r")
    assert stored is not None
    assert (stored.columns["n"], stored.etag) == (2, second)
    assert "old" not in stored.columns
    await table.delete("p", "r", second)
    await table.delete("p", "r", second)
    with pytest.raises(Conflict):
        await table.replace(entity(n=4), second)


async def test_a_failed_transaction_leaves_nothing(table: Table) -> None:
    etag = await table.insert(entity("head", n=1))
    await table.replace(entity("head", n=2), etag)
    behind = Entity(partition="p", row="head", columns={"schema": 1, "n": 3}, etag=etag)
    with pytest.raises(Conflict):
        await table.write_together([entity("a"), entity("b"), behind])
    with pytest.raises(Conflict):
        await table.write_together([entity("a"), entity("head")])
    assert [row.row async for row in table.query("PartitionKey eq @p", {"p": "p"})] == ["head"]


async def test_a_write_whose_answer_was_lost_is_known_by_its_writer(proxy: LossyProxy, prefix: str) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        table = opened.table("Proof")
        await table.insert(entity("other"))
        proxy.losing = 1
        etag = await table.insert(entity(n=1))
        proxy.losing, proxy.writes = 1, 0
        etag = await table.replace(entity(n=2), etag)
        assert proxy.writes == 2  # the client repeated it, and the repetition met the first one's effect
        stored = await table.get("p", "r")
        assert stored is not None
        assert (stored.etag, stored.columns["n"]) == (etag, 2)


async def test_a_write_that_never_arrived_is_not_taken_for_done(proxy: LossyProxy, prefix: str) -> None:
    async with open_tables({"AzureWebJobsStorage": proxy.connection_string}, prefix=prefix) as opened:
        table = opened.table("Proof")
        await table.insert(entity("other"))
        proxy.losing, proxy.arriving = 1, False
        with pytest.raises(AnswerLost):
            await table.insert(entity(n=1))
        assert await table.get("p", "r") is None
        proxy.losing = 1
        with pytest.raises(AnswerLost):
            await table.write_together([entity("a"), entity("b")])
        assert await table.get("p", "a") is None
