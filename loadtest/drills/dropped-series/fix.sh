# The configuration of the local stack is generated: a start writes it.
"$MUSTER" restart prometheus
