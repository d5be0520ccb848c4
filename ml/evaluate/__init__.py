"""What a model is worth: perplexity, answers, sensitivity, golden vectors."""
