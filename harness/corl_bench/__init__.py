"""corl-bench: score systems that decide which LLM answers a question, for how many dollars."""

__version__ = "0.1.0"
