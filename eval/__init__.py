"""Measures engines and never changes them."""
