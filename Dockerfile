# One image for the API, every worker, the relay and the set-up; `dev` adds the simulators and is never deployed.
FROM python:3.11.13-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/order-engine
# The dependencies alone first: a change of code then reuses this layer.
COPY requirements/runtime.txt requirements/
RUN /opt/order-engine/bin/pip install --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY schemas schemas
COPY adapters adapters
COPY activities activities
COPY workflows workflows
COPY temporal_clients temporal_clients
COPY workers workers
COPY api api
RUN /opt/order-engine/bin/pip install --no-deps .

FROM builder AS dev-builder
COPY requirements/simulators.txt requirements/
RUN /opt/order-engine/bin/pip install --require-hashes -r requirements/simulators.txt

FROM python:3.11.13-slim-bookworm AS base
ENV PATH=/opt/order-engine/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/order-engine --create-home orders \
    && install --directory --owner=orders --group=orders --mode=0700 /var/lib/order-engine/keys
WORKDIR /var/lib/order-engine
USER 10001:10001

FROM base AS dev
# A fresh volume takes over the owner of the folder it covers.
RUN mkdir --mode=0700 simulator
COPY --from=dev-builder /opt/order-engine /opt/order-engine
COPY dev dev

FROM base AS runtime
COPY --from=builder /opt/order-engine /opt/order-engine
EXPOSE 8080
CMD ["order-api"]
