"""The OpenAI surface: the only function that holds plain text."""
