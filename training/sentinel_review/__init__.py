"""The review model: its vocabulary, its transformer, its training and its export.

No token is made here: `sentinel encode` does that, in Rust, so that training and serving read the same tokens.
"""
