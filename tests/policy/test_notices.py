"""The policy's section `notices`: what a channel needs."""

from typing import Any

import pytest

from shared.policy import PolicyInvalid, load_policy
from tests.policy.documents import as_yaml, document
from tests.policy.two_layers import merged, platform, project

GOOD: list[dict[str, Any]] = [
    {"name": "topic", "kind": "event_grid"},
    {"name": "oncall", "kind": "teams", "secret": "teams-oncall", "min_severity": "warning"},
    {"name": "ada", "kind": "slack", "secret": "slack-ada", "recipients": ["ada@example.com"]},
    {"name": "mail", "kind": "mail", "recipients": ["platform@example.com"], "kinds": ["policy_refused"]},
]


def problems(*channels: dict[str, Any]) -> str:
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(as_yaml(document(notices={"channels": list(channels)})), "p")
    return str(refused.value)


def test_channels_are_found_by_name() -> None:
    policy = load_policy(as_yaml(document(notices={"channels": GOOD})), "p")
    found = policy.notices.channel("oncall")
    assert found is not None
    assert (found.kind, found.secret, found.to_owners) == ("teams", "teams-oncall", True)
    assert policy.notices.channel("nobody") is None


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"name": "a", "kind": "teams"}, "without `secret`. Put the webhook's URL into Key Vault"),
        ({"name": "a", "kind": "mail", "secret": "s"}, "with a `secret`. Remove `secret`"),
        ({"name": "a", "kind": "event_grid", "recipients": ["a@example.com"]}, "with `recipients`"),
        ({"name": "a", "kind": "slack", "secret": "s", "recipients": ["a@b.cd", "c@d.ef"]}, "with 2 recipients"),
        ({"name": "a", "kind": "pager"}, "kind"),
        ({"name": "a", "kind": "slack", "secret": "https://hooks.example.com/x"}, "secret"),
        ({"name": "a", "kind": "mail", "kinds": ["gossip"]}, "kinds"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_with_its_remedy(channel: dict[str, Any], words: str) -> None:
    told = problems(channel)
    assert words in told
    assert "notices.channels[0]" in told


def test_two_channels_of_one_name_are_refused() -> None:
    assert "names 'topic' twice" in problems(GOOD[0], dict(GOOD[0]))


def test_a_projects_channels_hear_of_that_project_only() -> None:
    policy = merged(platform(), project("red", notices={"channels": GOOD})).policy
    assert {channel.projects for channel in policy.notices.channels} == {("red",)}
    assert policy.notices.channels[0].name == f"red.{GOOD[0]['name']}"
