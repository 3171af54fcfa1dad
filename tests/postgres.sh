#!/usr/bin/env bash
# Runs a command with AIMS_TEST_POSTGRES_URI naming a PostgreSQL server that is there for that command only.
#   tests/postgres.sh python -m pytest -m postgres
# Installs Debian's package where there is no server (then it must be root). PostgreSQL refuses to run as root, so root
# lends the server the package's own user.
set -euo pipefail

server_programs() {
  for folder in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ]; then echo "$folder"; return; fi
  done
}

if [ -z "$(server_programs)" ]; then
  apt-get update -qq
  # Without a cluster and a service of its own: only the programs are wanted.
  apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
  mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/aims-tests.conf
  apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi
programs=$(server_programs)
folder=$(mktemp -d)
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$password" >"$folder/password"
as_server=()
if [ "$(id -u)" = 0 ]; then
  chown -R postgres "$folder"
  as_server=(runuser -u postgres --)
fi
server() { (cd "$folder" && "${as_server[@]}" "$programs/$1" "${@:2}"); }

stop() {
  server pg_ctl --pgdata data --mode immediate --wait stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
server initdb --pgdata data --username aims --pwfile password --auth scram-sha-256 --encoding UTF8 --no-locale \
  --no-sync >/dev/null
server pg_ctl --pgdata data --log "$folder/log" --wait start >/dev/null --options \
  "-p $port -k $folder -c listen_addresses=127.0.0.1 -c max_connections=200 -c fsync=off" \
  || { cat "$folder/log" >&2; exit 1; }
export AIMS_TEST_POSTGRES_URI="postgresql+psycopg2://aims:$password@127.0.0.1:$port/postgres"
"$@"
