"""The review model: its vocabulary, its transformer, its training and its export.

Input is never assembled here: `sentinel features review` encodes hunks, so that training and serving read the same
tokens. Only tensors and labels cross.
"""
