# The service gets back what it needs; no other role does.
sql orders "GRANT SELECT ON orders TO orders; REVOKE ALL ON orders FROM PUBLIC"
