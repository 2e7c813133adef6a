"""The tasks of the erasure workflow (statemachines/erasure.asl.json): idempotent, resumable, all from the case."""
