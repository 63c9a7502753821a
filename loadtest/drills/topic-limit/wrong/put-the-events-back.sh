# fails: steady
# The broker refuses them again.
sql orders "SELECT outbox_requeue()"
