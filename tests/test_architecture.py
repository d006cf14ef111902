"""Rules about the shape of the code that no single module can hold."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("domain", "schemas", "adapters", "activities", "workflows", "temporal_clients", "workers", "api")
DRIVERS = (
    "sqlalchemy",
    "pymysql",
    "pymongo",
    "elasticsearch",
    "redis",
    "confluent_kafka",
    "stripe",
    "httpx2",
    "adapters",
)
MAX_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_TEST_NAME = 75
MAX_ANY_IN_TESTS = 49

# Each table has one owning service; within it these modules write the table, everybody else reads.
WRITERS = {
    "users": {"users", "account_closing"},
    "user_roles": {"users"},
    "addresses": {"addresses", "account_closing"},
    "email_tokens": {"email_tokens", "account_closing"},
    "account_mails": {"account_mails", "account_closing"},
    "login_failures": {"login_failures"},
    "api_keys": {"api_keys", "account_closing"},
    "security_events": {"security_events"},
    "oauth_clients": {"clients"},
    "authorization_codes": {"grants"},
    "refresh_tokens": {"grants"},
    "revoked_tokens": {"grants"},
    "consents": {"grants", "account_closing"},
    "external_identities": {"external_identities", "account_closing"},
    "brands": {"shelves"},
    "categories": {"shelves"},
    "products": {"catalog_writes"},
    "variants": {"catalog_writes"},
    "prices": {"catalog_writes"},
    "product_images": {"catalog_writes"},
    "product_imports": {"product_imports"},
    "product_import_errors": {"product_imports"},
    "price_watermark": {"price_changes"},
    "taxonomy_changes": {"taxonomy_changes"},
    "product_sales": {"product_sales"},
    "product_revisions": {"product_events"},
    "product_events": {"product_events"},
    "warehouses": {"inventory"},
    "stock_rules": {"stock_ledger"},
    "stock": {"stock_ledger"},
    "stock_movements": {"stock_ledger"},
    "stock_reconciliations": {"stock_reconciliations"},
    "reservations": {"reservations"},
    "reservation_lines": {"reservations", "backorders"},
    "vouchers": {"vouchers"},
    "voucher_redemptions": {"vouchers"},
    "orders": {"order_placing", "order_shortening", "history"},
    "order_lines": {"order_placing", "order_shortening"},
    "parcels": {"order_placing", "order_shortening", "fulfilment"},
    "order_events": {"history"},
    "outbox_partitions": {"outbox"},
    "idempotency_keys": {"idempotency"},
    "webhook_receipts": {"webhooks"},
    "payment_entries": {"payments"},
    "ledger_postings": {"payments"},
    "refunds": {"refunds", "refund_reversals"},
    "disputes": {"disputes"},
    "flagged_webhooks": {"flagged_webhooks"},
    "refund_parts": {"refunds", "refund_reversals"},
    "credit_accounts": {"credit"},
    "credit_entries": {"credit"},
    "payment_reconciliations": {"payment_differences"},
    "payment_differences": {"payment_differences"},
    "notifications": {"notifications"},
}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_importing_every_workflow_loads_no_driver() -> None:
    modules = [f"workflows.{path.stem}" for path in sources("workflows") if path.stem != "__init__"]
    program = (
        f"import sys, {', '.join(modules)}\n"
        f"print([name for name in {DRIVERS!r} if any(m.split('.')[0] == name for m in sys.modules)])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_workflows_ask_no_clock_and_no_chance_and_share_no_state() -> None:
    """What the sandbox imports once for all runs it does not watch over."""
    forbidden = {"time", "random", "uuid", "uuid_utils", "secrets", "os", "socket", "threading", "subprocess"}
    for path in sources("workflows", "domain"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & forbidden, path
            assert not isinstance(node, ast.Global), path
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                of_python = isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
                assert not of_python, f"{path}:{node.lineno} asks Python's clock; a workflow has one of its own"
        mutable = (ast.List, ast.Set, ast.ListComp, ast.SetComp)
        kept = [
            one for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(one.value, mutable)
        ]
        assert not kept, f"{path}:{kept[0].lineno} could be changed by one run and seen by another"


def test_every_table_is_written_by_its_owner_alone() -> None:
    found: dict[str, set[str]] = {}
    for path in sources(*PRODUCT):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in {"insert", "update", "delete", "mysql_insert"} and call.args:
                table = call.args[0]
                found.setdefault(getattr(table, "attr", getattr(table, "id", "")), set()).add(path.stem)
    written = {table: writers for table, writers in found.items() if table in WRITERS}
    assert written == WRITERS


@pytest.mark.parametrize("path", sources(*PRODUCT, "dev", "bench"), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES, "split the file by what its parts are for"
    if "migrations/versions" in str(path):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines: name its steps"


def test_names_of_tests_stay_short() -> None:
    long = [
        node.name
        for path in sources("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if node.name.lower().startswith("test") and len(node.name) > MAX_TEST_NAME
    ]
    assert not long


def test_tests_are_typed() -> None:
    """Any switches mypy off where it stands; decoded JSON has one type for all tests, fixture_types.Json."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(found) <= MAX_ANY_IN_TESTS, found


def test_development_parts_are_not_imported_by_the_product() -> None:
    offenders = [str(p.relative_to(ROOT)) for p in sources(*PRODUCT) if "from dev" in p.read_text()]
    assert not offenders


def test_simulators_import_nothing_of_the_product() -> None:
    for path in sources("dev/payment_simulator", "dev/carrier_simulator", "dev/supplier_simulator", "dev/mail"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & set(PRODUCT), path


def test_docs_name_only_files_that_exist() -> None:
    """Of what stands in backticks, each path with a folder; a bare name such as `saga.py` is left to its reader."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("docs/*/*.md")]
    named = {(page.name, path) for page in pages for path in re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", page.read_text())}
    first = {path.name for path in ROOT.iterdir() if path.is_dir()}
    missing = [(page, path) for page, path in named if path.split("/")[0] in first and not (ROOT / path).exists()]
    assert not missing
