"""The running local Azure of these tests."""

from tests.estate.conftest import azure

__all__ = ["azure"]
