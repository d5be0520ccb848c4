"""The small GPT-2 that ships."""
