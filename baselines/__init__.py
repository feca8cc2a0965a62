"""Bundled contestants: variants of the model, and the controls that every leaderboard shows."""

from talkingpose.io.telemetry import disable_telemetry

disable_telemetry()
