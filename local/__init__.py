"""The stack on one machine: MiniStack, the edge and the model, started and stopped together (`make run`)."""
