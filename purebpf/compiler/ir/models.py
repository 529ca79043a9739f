"""The helpers and kernel functions that an `Environment` has, by name."""

from __future__ import annotations

from purebpf.compiler.ir import dynptr_models, helper_models, kfunc_models, map_models
from purebpf.compiler.ir.helper_models import Model, model

HELPERS: dict[str, Model] = helper_models.HELPERS | {
    each.__name__: model(each) for each in (*dynptr_models.HELPERS, *map_models.MODELS)
}
KFUNCS: dict[str, Model] = {each.__name__: model(each) for each in (*kfunc_models.KFUNCS, *dynptr_models.KFUNCS)}
