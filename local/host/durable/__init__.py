"""The Durable Functions extension of the local host: task hub, work items, management API, journal."""
