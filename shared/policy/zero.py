"""Scale to zero, as a policy allows it."""

from typing import Annotated

from pydantic import Field

from shared.policy.parts import Part, PositiveSeconds, unit


class Zero(Part):
    """What is needed to weigh whether a target with nothing to do should have no instance at all.

    Azure ML keeps at least one instance of a deployment that exists. Deleting and restoring one is not built yet: until
    then it is only shown what zero would save.
    """

    after_idle_s: PositiveSeconds = 3600.0
    """How long nothing must have waited or arrived before zero is thought of."""

    restore_s: PositiveSeconds = 1200.0
    """Time from the first message at zero until an instance serves it: the deployment is created anew."""

    late_message_usd: (
        Annotated[float, Field(strict=True, ge=0, le=1e6, json_schema_extra=unit("US dollars per message"))] | None
    ) = None
    """What a message costs you that is served later than promised. Without it, zero is never worth a broken promise."""
