"""Expressions that are compiled when they are first used: none of ours is wrong."""

import gc
import importlib
import pkgutil
import re

import corl_bench.grading
from corl_bench.patterns import regex


def test_an_expression_is_compiled_at_its_first_use_alone() -> None:
    broken = regex("(")
    word = regex("[a-z]+", re.IGNORECASE)
    assert broken.pattern == "("  # others may be built of it
    assert word.findall("One two") == word.findall("One two") == ["One", "two"]
    assert word.fullmatch("Three")
    assert word.flags & re.IGNORECASE


def test_every_expression_of_the_grader_compiles() -> None:
    names = [module.name for module in pkgutil.iter_modules(corl_bench.grading.__path__)]
    for name in names:
        importlib.import_module(f"corl_bench.grading.{name}")
    kind = type(regex(""))
    # Those in tuples and tables of a module as well.
    later = [found for found in gc.get_objects() if type(found) is kind and found.pattern != "("]
    assert len(later) > 230
    for expression in later:
        assert re.compile(expression.pattern, expression.flags)
