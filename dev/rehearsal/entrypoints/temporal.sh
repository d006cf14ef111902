#!/bin/bash
# What the image of the Temporal server does: a configuration from the variables that docker-compose.yml sets.
set -euo pipefail
address=$(hostname -I | cut -d' ' -f1)
mkdir -p /etc/temporal/config
store() {
  cat <<-YAML
	      sql:
	        pluginName: $DB
	        databaseName: $1
	        connectAddr: "$MYSQL_SEEDS:$DB_PORT"
	        connectProtocol: tcp
	        user: $MYSQL_USER
	        password: "$MYSQL_PWD"
	        maxConns: 20
	        maxIdleConns: 20
	        maxConnLifetime: 1h
	YAML
}
service() {
  echo "  $1: {rpc: {grpcPort: $2, membershipPort: $3, bindOnIP: $BIND_ON_IP}}"
}
{
  cat <<-YAML
	log: {stdout: true, level: $LOG_LEVEL}
	persistence:
	  numHistoryShards: 4
	  defaultStore: default
	  visibilityStore: visibility
	  datastores:
	    default:
	$(store "$DBNAME")
	    visibility:
	$(store "$VISIBILITY_DBNAME")
	global: {membership: {maxJoinDuration: 30s, broadcastAddress: $address}}
	clusterMetadata:
	  enableGlobalNamespace: false
	  failoverVersionIncrement: 10
	  masterClusterName: active
	  currentClusterName: active
	  clusterInformation:
	    active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "127.0.0.1:7233"}
	dcRedirectionPolicy: {policy: noop}
	publicClient: {hostPort: "127.0.0.1:7233"}
	dynamicConfigClient: {filepath: /etc/temporal/$DYNAMIC_CONFIG_FILE_PATH, pollInterval: 60s}
	services:
	YAML
  service frontend 7233 6933
  service history 7234 6934
  service matching 7235 6935
  service worker 7239 6939
} > /etc/temporal/config/rehearsal.yaml
exec temporal-server --root /etc/temporal --config config --env rehearsal --allow-no-auth start
