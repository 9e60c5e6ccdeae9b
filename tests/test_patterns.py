"""Expressions that are compiled when they are first used: none of ours is wrong."""

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
    modules = [importlib.import_module(f"corl_bench.grading.{name}") for name in names]
    later = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if type(value) is type(regex(""))
    }
    assert len(later) > 150
    for name, expression in later.items():
        assert re.compile(expression.pattern, expression.flags), name
