"""Approval desks over the tables of the test."""

import pytest

from shared.records import Tables
from tests.safety.approval_office import Clock, Keys, Office


@pytest.fixture
def office(tables: Tables) -> Office:
    return Office(tables, Clock(), Keys())
