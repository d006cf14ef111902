"""Each run imports the modules that define workflows again; a passed-through package would take its workflows along."""

from workers.runner import WORKFLOWS, new_sandbox_runner, workflow_modules


def test_no_workflow_is_passed_through_and_all_the_rest_is() -> None:
    passed = new_sandbox_runner().restrictions.passthrough_modules

    def is_passed(module: str) -> bool:
        """By itself, or by a package above it: that is how the SDK reads its list."""
        parts = module.split(".")
        return any(".".join(parts[:length]) in passed for length in range(1, len(parts) + 1))

    defining = {workflow.__module__ for served in WORKFLOWS.values() for workflow in served}
    packages = {module.rpartition(".")[0] for module in defining}
    assert "workflows.orders.checkout" in defining
    assert [module for module in sorted(defining) if is_passed(module)] == []
    assert [module for module in sorted(workflow_modules() - defining - packages) if not is_passed(module)] == []
