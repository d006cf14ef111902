"""docker-compose.yml, Procfile, Dockerfile and gateway describe one system, with the settings of `.env.example`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values
from pydantic import AliasChoices

from adapters.settings import Service, Settings
from api.main import ROUTERS
from dev.stack.parts import BY_NAME, PARTS, commands
from tests.fixture_types import Json

ROOT = Path(__file__).parents[2]
COMPOSE: Json = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Json] = COMPOSE["services"]
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
GATEWAY = (ROOT / "deploy/gateway/nginx.conf").read_text()

APPLICATION_COMMANDS = {"order-api", "order-worker", "notification-worker", "outbox-relay", "search-indexer"}
# Needed only where each part has a container of its own.
OUR_ONE_SHOT = {"setup", "seed"}
ONE_SHOT = {"temporal-schema", *OUR_ONE_SHOT}
ONLY_IN_COMPOSE = {"temporal-ui", "gateway", *ONE_SHOT}
# A cluster talks to itself on these; inside a container nobody else can want them.
INTERNAL_PORTS = {"ELASTICSEARCH_TRANSPORT_PORT", "KAFKA_CONTROLLER_PORT"}
# A setting that is the secret of a server has the server's own variable.
WRITTEN_AS = {"ORDERS_MYSQL_PASSWORD": "MYSQL_PASSWORD"}
SERVICE_OF_PREFIX = {
    "/readyz": "order",
    "/v1/users": "user",
    "/v1/security-events": "user",
    "/v1/auth": "user",
    "/v1/oauth-clients": "user",
    "/account": "user",
    "/v1/email-verifications": "user",
    "/v1/password-resets": "user",
    "/oauth2": "user",
    "/.well-known": "user",
    "/v1/products": "catalog",
    "/v1/product-imports": "catalog",
    "/v1/brands": "catalog",
    "/v1/categories": "catalog",
    "/v1/stock": "order",
    "/v1/warehouses": "order",
    "/v1/cart": "cart",
    "/v1/quotes": "order",
    "/v1/checkouts": "order",
    "/v1/vouchers": "order",
    "/v1/orders": "order",
    "/v1/ops": "order",
    "/v1/webhooks/carrier": "order",
    "/docs": "order",
    "/openapi.json": "order",
    "/v1/webhooks/stripe": "payment",
    "/v1/users/me/credit": "payment",
    "/v1/ops/customers": "payment",
    "/v1/notifications": "notification",
}


def applications() -> dict[str, Json]:
    """The compose services that run one of our console scripts for as long as the stack lives."""
    return {name: found for name, found in SERVICES.items() if found.get("command", [""])[0] in APPLICATION_COMMANDS}


def settings_names() -> set[str]:
    """Every environment variable the settings class reads."""
    names = set()
    for field, description in Settings.model_fields.items():
        alias = description.validation_alias
        names.add(str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"ORDERS_{field.upper()}")
    return names


def spread(variable: str) -> set[str]:
    """The union of a comma-separated setting over all application containers."""
    values = [found["environment"][variable] for found in applications().values()]
    return {name for value in values for name in value.split(",") if name}


def test_compose_file_keeps_to_the_specification() -> None:
    """The schema is the Compose project's own, which the checker carries with it."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command here")
def test_compose_itself_accepts_the_file() -> None:
    """Where Docker Compose is installed, it can read the file with the example settings; no engine is needed."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker has no compose plugin here")
    command = ["docker", "compose", "--env-file", ".env.example", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_infrastructure_is_the_same_in_compose_and_procfile() -> None:
    """Servers and simulators have one name in both."""
    native = {part.name for part in PARTS if part.kind != "application"}
    assert set(SERVICES) - set(applications()) - ONLY_IN_COMPOSE == native


def test_applications_are_the_same_in_compose_and_procfile() -> None:
    """The containers run the same programs, and together do what the native processes do."""
    native = {commands()[part.name] for part in PARTS if part.kind == "application"}
    assert native == APPLICATION_COMMANDS == {found["command"][0] for found in applications().values()}
    assert spread("ORDERS_SERVICES") == set(EXAMPLE["ORDERS_SERVICES"].split(","))
    assert spread("ORDERS_TASK_QUEUES") == set(EXAMPLE["ORDERS_TASK_QUEUES"].split(","))


def test_each_service_is_mounted_once_and_each_queue_polled_once() -> None:
    """Six containers serve one service each; a queue polled by two containers could not be scaled alone."""
    served = [found["environment"]["ORDERS_SERVICES"] for found in applications().values()]
    assert sorted(value for value in served if value) == sorted(spread("ORDERS_SERVICES"))
    polled = [found["environment"]["ORDERS_TASK_QUEUES"].split(",") for found in applications().values()]
    flat = [queue for queues in polled for queue in queues if queue]
    assert len(flat) == len(set(flat))


def test_simulators_run_the_same_module_as_natively() -> None:
    """Their commands are the Procfile's, word for word."""
    for part in PARTS:
        if part.kind == "simulator":
            assert " ".join(SERVICES[part.name]["command"]) == commands()[part.name]


def test_published_ports_are_those_of_the_environment_file() -> None:
    """Each port has a variable of `.env.example`, and each part publishes its own."""
    published = {
        name: {match.group(1) for port in found.get("ports", []) if (match := re.search(r"\$\{(\w+):\?", port))}
        for name, found in SERVICES.items()
    }
    for part in PARTS:
        if part.kind == "application":
            continue
        expected = set(part.ports) - INTERNAL_PORTS - {"TEMPORAL_UI_PORT"}
        assert published[part.name] == expected, part.name
    assert published["temporal-ui"] == {"TEMPORAL_UI_PORT"}
    assert published["gateway"] == set(BY_NAME["api"].ports)
    in_use = set().union(*published.values()) | INTERNAL_PORTS
    assert in_use == {name for name in EXAMPLE if name.endswith("_PORT") and not name.startswith("ORDERS_")}


def test_every_published_port_is_on_this_machine_only() -> None:
    """A development stack with known passwords is nobody else's business."""
    for name, found in SERVICES.items():
        for port in found.get("ports", []):
            assert port.startswith("127.0.0.1:${"), name


def test_application_settings_are_those_of_the_environment_file() -> None:
    """No container lacks a setting, none carries one that nobody documents."""
    documented = set(EXAMPLE) & settings_names()
    for name, found in {**applications(), **{name: SERVICES[name] for name in OUR_ONE_SHOT}}.items():
        assert set(found["environment"]) == documented, name


def test_every_service_has_a_health_check() -> None:
    """Only what runs once has none: its exit status is its health."""
    for name, found in SERVICES.items():
        if name in ONE_SHOT:
            assert found["restart"] == "no"
            continue
        assert found["healthcheck"]["test"], name
        assert found["restart"] == "unless-stopped", name


def test_dependencies_wait_for_health_or_completion() -> None:
    """A container that merely started is not one that answers."""
    for name, found in SERVICES.items():
        for needed, how in found.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, name


def test_no_secret_is_written_into_the_compose_file() -> None:
    """Secrets come from `.env`, and a missing one stops compose instead of becoming an empty password."""
    text = (ROOT / "docker-compose.yml").read_text()
    for name, value in EXAMPLE.items():
        if value and re.search(r"PASSWORD|SECRET$|_API_KEY", name):
            assert value not in text, name
            assert f"${{{WRITTEN_AS.get(name, name)}:?" in text, name
    for reference in re.findall(r"(?<!\$)\$\{[^}]*\}", text):
        assert "?run make up once" in reference, reference


def test_image_is_built_in_stages_and_runs_without_root() -> None:
    """The last stage is the product: no compiler, no development code, no root."""
    text = (ROOT / "Dockerfile").read_text()
    names = re.findall(r"^FROM \S+ AS (\S+)$", text, flags=re.MULTILINE)
    assert names[-1] == "runtime"
    assert "COPY --from=builder" in text
    bodies = dict(zip(names, re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:], strict=True))
    assert re.search(r"^USER (?!0|root)\d+", bodies["base"], flags=re.MULTILINE)
    assert "USER" not in bodies["runtime"]
    assert "COPY dev" not in bodies["runtime"]
    assert re.search(r"^FROM base AS runtime$", text, flags=re.MULTILINE)


def test_image_copies_every_package_of_the_project() -> None:
    """A package added to pyproject.toml must not be missing from the image."""
    declared = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert declared
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for package in re.findall(r'"(\w+)"', declared.group(1)):
        assert f"COPY {package} {package}\n" in (ROOT / "Dockerfile").read_text()
        assert f"!{package}" in ignored


@pytest.mark.parametrize(("prefix", "service"), SERVICE_OF_PREFIX.items())
def test_gateway_routes_each_prefix_to_its_service(prefix: str, service: str) -> None:
    """Each path of the API contract reaches the service that owns its data."""
    assert re.search(rf"location (= )?{re.escape(prefix)} {{ proxy_pass http://{service}; }}", GATEWAY)
    assert f"server {service}-service:8080 resolve;" in GATEWAY
    assert SERVICES[f"{service}-service"]["environment"]["ORDERS_SERVICES"] == service


def test_gateway_has_no_route_nobody_checks() -> None:
    """A route added to the gateway is added to this test's table."""
    states = {f"/readyz/{service}" for service in ROUTERS}
    assert set(re.findall(r"location (?:= )?(/\S+) \{ proxy_pass", GATEWAY)) == set(SERVICE_OF_PREFIX) | states


@pytest.mark.parametrize("service", sorted(ROUTERS))
def test_each_service_can_be_asked_for_its_state_at_the_gateway(service: Service) -> None:
    assert f"location = /readyz/{service} {{ proxy_pass http://{service}/readyz; }}" in GATEWAY


def test_gateway_passes_live_streams_through() -> None:
    """Server-sent events must not wait in a buffer."""
    assert "proxy_buffering off;" in GATEWAY


@pytest.mark.parametrize("service", sorted(ROUTERS))
def test_gateway_leads_every_route_of_a_service_to_it(service: Service) -> None:
    """A route that its service serves, but that the gateway sends elsewhere, works on a laptop only."""
    for route in (route for router in ROUTERS[service] for route in router.routes):
        path = getattr(route, "path", "")
        prefixes = [prefix for prefix in SERVICE_OF_PREFIX if path.startswith(prefix)]
        assert SERVICE_OF_PREFIX[max(prefixes, key=len)] == service, path
