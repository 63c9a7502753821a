"$MUSTER" rollback orders
