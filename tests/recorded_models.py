"""Price ids of the models whose recorded answers are shared, by their names there."""

from __future__ import annotations

RECORDED_MODELS = {
    "Meta-Llama-3.1-8B-Instruct": "openrouter/meta-llama/llama-3.1-8b-instruct",
    "Qwen2.5-7B-Instruct": "openrouter/qwen/qwen-2.5-7b-instruct",
    "Qwen2.5-72B-Instruct": "openrouter/qwen/qwen-2.5-72b-instruct",
    "gemini-1.5-flash": "google/gemini-1.5-flash",
    "gemini-1.5-pro": "google/gemini-1.5-pro",
    "gpt-4o-mini-2024-07-18": "openai/gpt-4o-mini-2024-07-18",
    "gpt-4o-2024-08-06": "openai/gpt-4o-2024-08-06",
    "claude-3-haiku-20240307": "anthropic/claude-3-haiku-20240307",
    "claude-3-5-haiku-20241022": "anthropic/claude-3-5-haiku-20241022",
    "claude-3-5-sonnet-20241022": "anthropic/claude-3-5-sonnet-20241022",
}
