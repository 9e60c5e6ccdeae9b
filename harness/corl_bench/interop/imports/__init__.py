"""Importers: a module for each format, which says what of its source was read."""
