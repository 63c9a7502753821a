# CONCURRENTLY: without a lock that blocks writes.
definition=${LIST%%|*}
sql orders "CREATE INDEX CONCURRENTLY ${definition%% *} ON orders ${definition#* }"
