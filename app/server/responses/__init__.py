"""OpenAI's Responses API: /v1/responses, which keeps what it answered. OpenAI's dialect with more."""
