"""The main job, watched: a queue fills, one endpoint is scaled, the change is verified and explained."""
