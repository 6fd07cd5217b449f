#!/bin/sh
# Brings the directory's schema up to date on the leader: apply-schema.sh DIRECTORY GROUPS
# Applies each NNNN-*.sql once, in order, in one transaction with its line in public.schema_version; prints what it changed.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: apply-schema.sh DIRECTORY GROUPS" >&2
    exit 2
fi
directory=$1
groups=$2

sql() {
    psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
        --host /var/run/postgresql --username directory_owner --dbname onedallmail "$@"
}

sql <<'SQL'
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS public.schema_version (
  name text PRIMARY KEY CHECK (name ~ '^[0-9]{4}-[a-z0-9-]+\.sql$'),
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz NOT NULL DEFAULT now()
);
SQL
applied=$(sql -c 'SELECT name, sha256 FROM public.schema_version ORDER BY name' -F ' ')

for file in "$directory"/[0-9][0-9][0-9][0-9]-*.sql; do
    name=$(basename "$file")
    sum=$(sha256sum "$file" | cut -d ' ' -f 1)
    known=$(echo "$applied" | awk -v name="$name" '$1 == name { print $2 }')
    if [ "$known" = "$sum" ]; then
        continue
    fi
    if [ -n "$known" ]; then
        echo "$name was changed after it had been applied (was $known, is $sum): restore it, and put the change into a new file" >&2
        exit 1
    fi
    sql --single-transaction --file "$file" \
        --command "INSERT INTO public.schema_version (name, sha256) VALUES ('$name', '$sum')"
    echo "applied $name"
done

case $groups in
    '' | *[!0-9]*) echo "the number of placement groups must be a number, not '$groups'" >&2; exit 2 ;;
esac
sql -c "WITH made AS (INSERT INTO directory.placement_groups SELECT generate_series(0, $groups - 1)
  ON CONFLICT DO NOTHING RETURNING 1) SELECT 'added ' || count(*) || ' placement groups' FROM made HAVING count(*) > 0"
