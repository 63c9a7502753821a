#!/bin/sh
# Run once, in a new cluster: a database and a role for each service, and no way from one into another's.
set -eu
for name in orders url_shortener email_consumer apicurio; do
    # Passwords come as files, and through psql's variables, so that they stand in no command line; nor in the log.
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "name=$name" --username "$POSTGRES_USER" --dbname postgres <<SQL
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
\\set password \`cat /run/secrets/postgres/$name\`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
