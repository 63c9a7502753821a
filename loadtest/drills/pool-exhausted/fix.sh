# Take the call out of the transaction of the request.
sql orders "SET lock_timeout = '20s'; DROP TRIGGER copy_to_warehouse ON $TARGET"
