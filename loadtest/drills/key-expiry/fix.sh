# Back to the file that the rotation writes.
"$MUSTER" rollback "$SERVICE"
