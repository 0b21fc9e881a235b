"""The front door: makes the app and registers the blueprints, nothing else."""

from importlib import import_module

import azure.durable_functions as df
import azure.functions as func

FAMILIES = (
    "actuation",
    "admin",
    "admin_approvals",
    "admin_breakers",
    "admin_dead_letters",
    "admin_exemptions",
    "admin_ledger",
    "admin_notices",
    "admin_policy",
    "admin_secrets",
    "admin_signals",
    "admin_state",
    "admin_undo",
    "admin_whatif",
    "intake",
    "people",
    "sweep",
    "upkeep",
)

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
for family in FAMILIES:
    app.register_functions(import_module(f"handlers.{family}").blueprint)
