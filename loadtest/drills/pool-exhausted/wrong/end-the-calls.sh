# fails: steady
# Ends the calls that run now; the next order calls again, and these orders fail.
end_sessions postgres warehouse
