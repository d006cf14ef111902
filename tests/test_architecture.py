"""Rules about the shape of the code that no single module can hold."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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
MAX_FILES = 25
MAX_FUNCTION_LINES = 40
MAX_TEST_NAME = 75
MAX_ANY_IN_TESTS = 49

# adapters/mysql has a folder per owner. A table belongs to the folder whose file in tables/ defines it, and is written
# by the folder's modules alone, of which these write it; everybody else reads.
OWNERS = {
    "catalog": "catalog",
    "identity": "identity",
    "orders": "orders",
    "payments": "payments",
    "stock": "orders",
}
WRITERS = {
    "brands": {"catalog/taxonomy"},
    "categories": {"catalog/taxonomy"},
    "products": {"catalog/writes"},
    "variants": {"catalog/writes"},
    "prices": {"catalog/writes"},
    "product_images": {"catalog/writes"},
    "product_imports": {"catalog/imports"},
    "product_import_errors": {"catalog/imports", "retention"},
    "product_revisions": {"catalog/events"},
    "product_events": {"catalog/events", "outbox", "retention"},
    "product_sales": {"catalog/sales"},
    "price_watermark": {"catalog/price_changes"},
    "taxonomy_changes": {"catalog/taxonomy_changes"},
    "users": {"identity/users", "identity/account_closing"},
    "user_roles": {"identity/users"},
    "addresses": {"identity/addresses", "identity/account_closing"},
    "email_tokens": {"identity/email_tokens", "identity/account_closing", "retention"},
    "account_mails": {"identity/account_mails", "identity/account_closing"},
    "login_failures": {"identity/login_failures", "retention"},
    "api_keys": {"identity/api_keys", "identity/account_closing"},
    "security_events": {"identity/security_events"},
    "oauth_clients": {"identity/oauth_clients"},
    "authorization_codes": {"identity/grants", "retention"},
    "refresh_tokens": {"identity/grants", "retention"},
    "revoked_tokens": {"identity/grants", "retention"},
    "consents": {"identity/grants", "identity/account_closing"},
    "external_identities": {"identity/external_identities", "identity/account_closing"},
    "orders": {"orders/placing", "orders/shortening", "orders/address_changes", "history"},
    "order_lines": {"orders/placing", "orders/shortening", "orders/address_changes"},
    "parcels": {
        "orders/placing",
        "orders/shortening",
        "orders/reducing",
        "orders/fulfilment",
        "orders/picking",
        "orders/promises",
        "orders/address_changes",
    },
    "parcel_resolutions": {"orders/parcel_resolutions"},
    "order_events": {"history", "outbox", "event_archive"},
    "order_events_archive": {"event_archive"},
    "operator_tasks": {"orders/operator_tasks", "orders/unanswered"},
    "vouchers": {"orders/vouchers"},
    "voucher_redemptions": {"orders/vouchers"},
    "warehouses": {"orders/stock"},
    "stock_rules": {"orders/stock_ledger"},
    "stock": {"orders/stock_ledger"},
    "stock_movements": {"orders/stock_ledger"},
    "stock_reconciliations": {"orders/stock_reconciliations"},
    "stock_checkpoints": {"orders/stock_reconciliations"},
    "reservations": {"orders/reservations"},
    "reservation_lines": {"orders/reservations", "orders/backorders"},
    "payment_entries": {"payments/ledger"},
    "ledger_postings": {"payments/ledger"},
    "refunds": {"payments/refunds", "payments/refund_reversals"},
    "refund_parts": {"payments/refunds", "payments/refund_reversals"},
    "credit_accounts": {"payments/credit"},
    "credit_entries": {"payments/credit"},
    "disputes": {"payments/disputes"},
    "flagged_webhooks": {"payments/flagged_webhooks"},
    "payment_reconciliations": {"payments/differences"},
    "payment_differences": {"payments/differences"},
    "outbox_partitions": {"outbox"},
    "idempotency_keys": {"idempotency", "retention"},
    "webhook_receipts": {"webhooks", "retention"},
    "notifications": {"notifications", "retention"},
    "schedule_runs": {"schedule_runs"},
}
# What is old is deleted by one module, of whatever service it is.
PURGED = {
    *("idempotency_keys", "webhook_receipts", "notifications", "product_import_errors", "product_events"),
    *("email_tokens", "authorization_codes", "refresh_tokens", "revoked_tokens", "login_failures"),
}
# The shared modules beside the folders, with what they write: an order's events and the outbox serve all services.
SHARED = {
    "bounds": set(),
    "bulk": set(),
    "clock": set(),
    "constraints": set(),
    "event_archive": {"order_events", "order_events_archive"},
    "history": {"orders", "order_events"},
    "idempotency": {"idempotency_keys"},
    "migrate": set(),
    "notifications": {"notifications"},
    "outbox": {"outbox_partitions", "order_events", "product_events"},
    "retention": PURGED,
    "schedule_runs": {"schedule_runs"},
    "transactions": set(),
    "webhooks": {"webhook_receipts"},
}
# Writes whose table is a parameter, and which tables that is.
PARAMETERS = {
    ("catalog/taxonomy", "table"): {"brands", "categories"},
    ("catalog/writes", "table"): {"products", "variants"},
    ("outbox", "_events"): {"order_events", "product_events"},
    ("retention", "table"): PURGED,
}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_importing_every_workflow_loads_no_driver() -> None:
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources("workflows")]
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


def _writes(path: Path) -> Iterator[str]:
    """The tables that a module inserts into, updates or deletes from."""
    module = path.relative_to(ROOT / "adapters/mysql").with_suffix("").as_posix()
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if function in {"insert", "update", "delete", "mysql_insert"} and call.args:
            table = call.args[0]
            name = table.attr if isinstance(table, ast.Attribute) else getattr(table, "id", "")
            if isinstance(table, ast.Name | ast.Attribute):
                yield from PARAMETERS.get((module, name), {name})


def test_every_table_is_written_by_its_owner_alone() -> None:
    found: dict[str, set[str]] = {}
    for path in sources("adapters/mysql"):
        if "migrations" not in path.parts:
            for table in _writes(path):
                module = path.relative_to(ROOT / "adapters/mysql").with_suffix("").as_posix()
                found.setdefault(table, set()).add(module)
    assert found == WRITERS


def test_folders_of_mysql_write_their_own_tables() -> None:
    root = ROOT / "adapters/mysql"
    assert {path.stem for path in root.glob("*.py")} - {"__init__"} == SHARED.keys()
    for path in (root / "tables").glob("*.py"):
        owner = OWNERS.get(path.stem)
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if not (isinstance(call.func, ast.Name) and call.func.id == "table" and call.args):
                continue
            name = ast.literal_eval(call.args[0])
            by_folder = {writer for writer in WRITERS[name] if writer not in SHARED}
            assert {writer.partition("/")[0] for writer in by_folder} <= {owner}, name
            assert {writer for writer in WRITERS[name] if writer in SHARED} == {
                module for module, tables in SHARED.items() if name in tables
            }, name


def test_only_adapters_of_mysql_write_to_mysql() -> None:
    for path in sources(*PRODUCT):
        if not path.is_relative_to(ROOT / "adapters/mysql"):
            assert "adapters.mysql.tables" not in path.read_text(), path


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


def test_folders_stay_small() -> None:
    folders = Counter(path.parent for path in sources("workflows", "adapters", "temporal_clients"))
    full = {str(folder.relative_to(ROOT)): files for folder, files in folders.items() if files > MAX_FILES}
    assert {name for name in full if "migrations" not in name} == set(), "split the folder by who owns what"


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


def test_servers_are_brought_up_in_one_place() -> None:
    """A testbed changes its process's environment: asked once more, the stack would find it changed and restart."""
    asking = [
        path.name
        for path in sources("tests")
        if re.search(r"^from dev.stack import ensure_servers", path.read_text(), re.MULTILINE)
    ]
    assert asking == ["conftest.py"]


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
