#!/bin/bash
# What the image of the Web UI does with the variables that docker-compose.yml sets.
set -euo pipefail
mkdir -p /etc/temporal-ui/config
cat > /etc/temporal-ui/config/rehearsal.yaml <<YAML
temporalGrpcAddress: $TEMPORAL_ADDRESS
defaultNamespace: $TEMPORAL_DEFAULT_NAMESPACE
host: 0.0.0.0
port: 8080
enableUi: true
YAML
exec temporal-ui --root /etc/temporal-ui --config config --env rehearsal start
