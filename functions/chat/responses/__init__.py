"""POST /v1/responses and what belongs to it: stored responses, and conversations with their items."""
