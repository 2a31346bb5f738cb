"""Every function by the name under which an expression finds it.

What reads the controller's environment (`env`, `expandenv`) is in no table, as in Argo.
"""

from __future__ import annotations

from collections.abc import Mapping

from pressplay.engine.expressions import (
    argo,
    builtin_collections,
    builtin_dates,
    builtin_numbers,
    builtin_texts,
    sprig_collections,
    sprig_numbers,
    sprig_texts,
)
from pressplay.engine.expressions.functions import Function

BUILTINS: Mapping[str, Function] = {
    **builtin_texts.FUNCTIONS,
    **builtin_numbers.FUNCTIONS,
    **builtin_collections.FUNCTIONS,
    **builtin_dates.FUNCTIONS,
}
ARGO: Mapping[str, Function] = argo.FUNCTIONS
SPRIG: Mapping[str, Function] = {
    **sprig_texts.FUNCTIONS,
    **sprig_numbers.FUNCTIONS,
    **sprig_collections.FUNCTIONS,
}
METHODS: Mapping[str, Mapping[str, Function]] = builtin_dates.METHODS
