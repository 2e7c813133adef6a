"""The API's own reference at /docs: Swagger UI over /openapi.json, every file of it from this origin."""
