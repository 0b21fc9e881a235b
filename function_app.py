"""The front door: makes the app and registers the blueprints, nothing else."""

import azure.durable_functions as df
import azure.functions as func

from handlers import actuation, admin, intake, sweep

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
for family in (actuation, admin, intake, sweep):
    app.register_functions(family.blueprint)
