"""What the sidecar and the step beside it share: a folder, and the names in it."""

FOLDER = "/run/relay"
"""Where both see the shared folder; the step may only read it."""

REGISTRIES, MODEL = "registries.sock", "model.sock"
READY, REFUSED = "ready", "refused"
"""Files by which the sidecar says that its sockets listen, or why they never will."""

METER = "meter.json"
"""What the model cost so far; written by the sidecar, after every call."""
