"""The tasks of the erasure workflow (statemachines/erasure.asl.json): idempotent, resumable, everything from the case."""
