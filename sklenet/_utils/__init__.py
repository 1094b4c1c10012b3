"""Helpers for text and files."""
