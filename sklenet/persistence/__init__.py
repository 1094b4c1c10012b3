"""Fitted estimators as files, and their networks by themselves."""
