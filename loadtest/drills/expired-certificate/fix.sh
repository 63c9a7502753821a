# A new certificate in the same files: url-shortener loads it, and email-consumer connects at its next attempt.
"$MUSTER" certificates renew url-shortener
