"""Attention options: how tokens mix."""
