"""Fits the failure classifier. No feature is computed here: `sentinel features` does that, in Rust."""
