# End the program that sends the signal, then start the service.
for pid in $(pgrep -f "/$NAME ${URL_SHORTENER_URL##*:} "); do
    kill "$pid"
done
"$MUSTER" restart url-shortener
