"""The language model: corpus, teacher, adaptation to gain-cell attention, golden vectors."""
