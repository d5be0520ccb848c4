"""Adaptation of a pretrained language model to gain-cell attention."""
