"""Exporters: a module for each format, which says what it was held against."""
