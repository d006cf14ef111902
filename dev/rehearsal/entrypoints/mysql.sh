#!/bin/bash
# What the image of MySQL does on a first start, as far as docker-compose.yml relies on it.
set -euo pipefail
data=/var/lib/mysql
socket=/var/run/mysqld/mysqld.sock

docker_process_sql() { mysql --no-defaults -uroot -S "$socket" "$@"; }

if [ ! -e "$data/complete" ]; then
  find "$data" -mindepth 1 -delete
  chown mysql "$data"
  mysqld --no-defaults --initialize-insecure --user=mysql --datadir="$data"
  mysqld --no-defaults --user=mysql --datadir="$data" --socket="$socket" --skip-networking "$@" &
  server=$!
  until docker_process_sql -e "SELECT 1" >/dev/null 2>&1; do kill -0 "$server"; sleep 0.5; done
  docker_process_sql <<-SQL
	CREATE DATABASE \`$MYSQL_DATABASE\`;
	CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
	GRANT ALL ON \`$MYSQL_DATABASE\`.* TO '$MYSQL_USER'@'%';
	SQL
  # The entry point of the image sources scripts that are not executable.
  for script in /docker-entrypoint-initdb.d/*.sh; do . "$script"; done
  kill "$server"
  wait "$server"
  touch "$data/complete"
fi
exec mysqld --no-defaults --user=mysql --datadir="$data" --socket="$socket" "$@"
