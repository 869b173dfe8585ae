# SPDX-License-Identifier: Apache-2.0
"""The scenarios, by name. A scenario is a function of a Lab and the versions of two Tomcats."""

import dataclasses
import importlib
import pkgutil
import typing

_scenarios = []


@dataclasses.dataclass
class Scenario:
    name: str
    function: typing.Callable
    variants: tuple       # what a usual run does
    full_variants: tuple  # and what --full does
    seconds: int          # it takes much less; the limit of one run


def scenario(name, variants=('10', '9', 'mixed'), seconds=120, full=('10', '9', 'mixed')):
    def add(function):
        _scenarios.append(Scenario(name, function, variants, full, seconds))
        return function
    return add


def all_of_them():
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        importlib.import_module(f'{__name__}.{module}')
    return _scenarios


def find(name):
    return next(s for s in all_of_them() if s.name == name)
