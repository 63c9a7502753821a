//! `sslmode` of a connection URL: libpq's words, with one meaning each.
//!
//! libpq's `require` encrypts without asking to whom (<https://www.postgresql.org/docs/15/libpq-ssl.html>); here, whatever is
//! encrypted is verified too.

use thiserror::Error;
use tokio_postgres::config::{Host, SslMode};

/// What is wrong with `DATABASE_URL`. Never says what it is: it holds a password.
#[derive(Debug, Error)]
pub(crate) enum InvalidUrl {
    #[error("DATABASE_URL is not a URL; write it as postgres://role:password@host:port/database")]
    NotAUrl,
    #[error(
        "DATABASE_URL has an sslmode that is not supported; write require or verify-full (both encrypt and verify), disable \
         (neither), or prefer (like require where the server offers TLS, else like disable)"
    )]
    UnknownMode,
    #[error("DATABASE_URL cannot be used")]
    Malformed(#[source] tokio_postgres::Error),
}

/// Reads a connection URL. Without `sslmode` it is `require`, and `disable` when the server is on this machine.
pub(crate) fn parse(url: &str) -> Result<tokio_postgres::Config, InvalidUrl> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(InvalidUrl::NotAUrl);
    }
    let (url, mode) = take_mode(url)?;
    let mut config = url.parse::<tokio_postgres::Config>().map_err(InvalidUrl::Malformed)?;
    let mode = mode.unwrap_or_else(|| {
        if config.get_hosts().iter().all(is_local) { SslMode::Disable } else { SslMode::Require }
    });
    config.ssl_mode(mode);
    Ok(config)
}

/// Takes `sslmode` out of the URL: tokio-postgres knows fewer words.
fn take_mode(url: &str) -> Result<(String, Option<SslMode>), InvalidUrl> {
    // A question mark before the first `@` belongs to the password.
    let after_password = url.find('@').unwrap_or(0);
    let Some(query_at) = url.get(after_password..).and_then(|rest| rest.find('?')) else {
        return Ok((url.to_owned(), None));
    };
    let (base, query) = url.split_at(after_password + query_at);
    let mut mode = None;
    let mut kept = Vec::new();
    for parameter in query.trim_start_matches('?').split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.strip_prefix("sslmode=") {
            Some(word) => mode = Some(read_mode(word)?),
            None => kept.push(parameter),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((url, mode))
}

fn read_mode(word: &str) -> Result<SslMode, InvalidUrl> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-full" => Ok(SslMode::Require),
        _ => Err(InvalidUrl::UnknownMode),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => tls::is_loopback(name),
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        parse(url).unwrap().get_ssl_mode()
    }

    #[test]
    fn without_sslmode_only_a_server_on_this_machine_is_spoken_to_in_plaintext() {
        for here in ["127.0.0.1:5432", "localhost", "[::1]:5432", "%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://r:p@{here}/d")), SslMode::Disable, "{here}");
        }
        for elsewhere in ["postgres-rw.muster-data:5432", "10.0.0.7", "127.0.0.1,db.example.com"] {
            assert_eq!(mode(&format!("postgres://r:p@{elsewhere}/d")), SslMode::Require, "{elsewhere}");
        }
    }

    #[test]
    fn sslmode_says_it_in_words_and_the_other_parameters_stay() {
        let config =
            parse("postgresql://r:p?w@db/d?connect_timeout=3&sslmode=disable&application_name=a").unwrap();
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(config.get_password(), Some(b"p?w".as_slice()));
        assert_eq!(config.get_application_name(), Some("a"));
        assert_eq!(config.get_connect_timeout().map(std::time::Duration::as_secs), Some(3));
        for (word, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            assert_eq!(mode(&format!("postgres://r:p@127.0.0.1/d?sslmode={word}")), expected, "{word}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_without_repeating_the_password() {
        for word in ["", "allow", "verify-ca", "REQUIRE", "on"] {
            let error = parse(&format!("postgres://r:secret@db/d?sslmode={word}")).unwrap_err();
            assert!(matches!(error, InvalidUrl::UnknownMode), "{word}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!(parse("host=db user=r password=secret"), Err(InvalidUrl::NotAUrl)));
    }
}
