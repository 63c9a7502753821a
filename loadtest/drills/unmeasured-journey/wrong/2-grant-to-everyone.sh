# fails: state
# It counts again, and every role can read the customers' addresses.
sql orders "GRANT SELECT ON orders TO PUBLIC"
