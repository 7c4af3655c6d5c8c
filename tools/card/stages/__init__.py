"""The stages, in the order in which they run."""

from . import benchmark, build, examples, operator_tests, sanitizer, smoke, stress

STAGES = {
    module.STAGE.name: module.STAGE for module in (build, smoke, operator_tests, sanitizer, benchmark, examples, stress)
}
