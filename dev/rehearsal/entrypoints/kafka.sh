#!/bin/bash
# What the image of Kafka does: settings from KAFKA_* variables, a formatted folder, the broker.
set -euo pipefail
properties=/tmp/server.properties
while IFS='=' read -r name value; do
  [[ $name == KAFKA_* && $name != KAFKA_HEAP_OPTS ]] || continue
  name=${name#KAFKA_}
  name=${name,,}
  echo "${name//_/.}=$value"
done < <(env) > "$properties"
run() { /opt/java/bin/java $KAFKA_HEAP_OPTS -XX:TieredStopAtLevel=1 -cp "/opt/kafka/libs/*" "$@"; }
run kafka.tools.StorageTool format --ignore-formatted --cluster-id rehearsal00000000000Aw --config "$properties"
exec /opt/java/bin/java $KAFKA_HEAP_OPTS -XX:TieredStopAtLevel=1 -cp "/opt/kafka/libs/*" kafka.Kafka "$properties"
