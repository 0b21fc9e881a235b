"""Who hears of what."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.people.routing import owners_of, routes
from shared.policy import load_policy
from shared.policy.notices import Channel, Notices
from tests.people.builders import notice
from tests.policy.documents import as_yaml, document, target


def settings(*channels: dict[str, Any]) -> Notices:
    return Notices(channels=tuple(Channel(**one) for one in channels))


def names(told: Any, section: Notices, owners: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(route.channel.name, route.recipient) for route in routes(told, section, owners)]


def test_severity_kind_and_project_decide() -> None:
    section = settings(
        {"name": "all", "kind": "event_grid"},
        {"name": "urgent", "kind": "teams", "secret": "s", "min_severity": "critical"},
        {"name": "policy", "kind": "slack", "secret": "s", "kinds": ("policy_refused",)},
        {"name": "invoices", "kind": "webhook", "secret": "s", "projects": ("invoices",)},
    )
    assert names(notice(), section) == [("all", "")]
    assert names(notice(severity="critical"), section) == [("all", ""), ("urgent", "")]
    assert names(notice(kind="policy_refused"), section) == [("all", ""), ("policy", "")]
    assert names(notice(project="invoices"), section) == [("all", ""), ("invoices", "")]
    assert names(notice(project="chat"), section) == [("all", "")]


def test_mail_goes_to_recipients_and_owners_once_each() -> None:
    section = settings(
        {"name": "ops", "kind": "mail", "recipients": ("ops@example.com",)},
        {"name": "more", "kind": "mail", "recipients": ("OPS@example.com", "boss@example.com"), "to_owners": False},
    )
    told = notice(owners=("Team@example.com",))
    assert names(told, section, ("team@example.com",)) == [
        ("ops", "ops@example.com"),
        ("ops", "Team@example.com"),
        ("more", "boss@example.com"),
    ]


def test_what_is_for_one_person_reaches_that_person_whatever_the_filters() -> None:
    section = settings(
        {"name": "mail", "kind": "mail", "min_severity": "critical"},
        {"name": "ada", "kind": "slack", "secret": "s", "recipients": ("ada@example.com",), "kinds": ("digest",)},
        {"name": "bob", "kind": "slack", "secret": "s", "recipients": ("bob@example.com",), "kinds": ("digest",)},
        {"name": "other", "kind": "mail", "recipients": ("x@example.com",), "projects": ("else",)},
    )
    asked = notice(kind="approval_requested", recipient="Ada@example.com")
    assert names(asked, section) == [("mail", "Ada@example.com"), ("ada", "")]
    assert all(route.with_links for route in routes(asked, section))


@given(st.sampled_from(["ada@example.com", "nobody@example.com"]), st.booleans())
def test_links_go_to_nobody_but_the_recipient(recipient: str, with_owner: bool) -> None:
    section = settings(
        {"name": "topic", "kind": "event_grid"},
        {"name": "team", "kind": "teams", "secret": "s"},
        {"name": "ada", "kind": "slack", "secret": "s", "recipients": ("ada@example.com",)},
        {"name": "mail", "kind": "mail", "recipients": ("ops@example.com",)},
    )
    told = notice(recipient=recipient, owners=("own@example.com",) if with_owner else ())
    for route in routes(told, section):
        own = route.recipient == recipient or recipient in route.channel.recipients
        assert route.with_links == own


def test_the_owner_is_the_policys_then_the_tags() -> None:
    policy = load_policy(as_yaml(document(target(owner="team@example.com"), target(name="other"))), "p")
    tags = {"Owner": "tag@example.com"}
    assert owners_of(policy, "chat", tags) == ("team@example.com",)
    assert owners_of(policy, "other", tags) == ("tag@example.com",)
    assert owners_of(policy, "other", {"owner": "somebody of finance"}) == ()
    assert owners_of(policy, "gone") == ()
