"""Self-service of API keys."""
