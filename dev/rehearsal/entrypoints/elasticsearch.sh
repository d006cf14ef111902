#!/bin/bash
# What the image of Elasticsearch does: settings from variables with a dot in their names, and no root.
set -euo pipefail
home=/usr/share/elasticsearch
while IFS='=' read -r name value; do
  [[ $name == *.* ]] && echo "$name: $value"
done < <(tr '\0' '\n' < /proc/1/environ) > /tmp/settings || true
{ cat /tmp/settings; echo "network.host: 0.0.0.0"; echo "path.data: $home/data"; } > "$home/config/elasticsearch.yml"
sed -i '/jdk.incubator.vector/d' "$home/config/jvm.options"
mkdir -p "$home/data" "$home/logs"
chown -R elasticsearch "$home/data" "$home/logs" "$home/config"
export ES_JAVA_HOME=$home/jdk
exec setpriv --reuid=elasticsearch --regid=elasticsearch --clear-groups "$home/bin/elasticsearch"
