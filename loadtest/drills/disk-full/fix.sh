# Only the export may go; everything else belongs to the database.
location=$(sql orders "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'volume'")
rm "$(dirname "$location")/$DUMP"
