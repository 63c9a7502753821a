# Stop the caller; the rest recovers without help.
pkill -f "$PARTNER"
