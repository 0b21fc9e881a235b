"""HTTP for the person on call: everything at a glance."""

import azure.durable_functions as df
import azure.functions as func

from handlers.answers import answering, ok

blueprint = df.Blueprint()


@blueprint.route(route="state", methods=["GET"])
@answering
async def admin_state(req: func.HttpRequest) -> func.HttpResponse:
    """What stops changes, what waits for somebody, and whether Watchkeeper is well; `attention` comes first."""
    from shared.overview import overview
    from shared.services import services

    return ok(await overview(services()))
