//! PostgreSQL with `ssl = on`.

use std::{sync::Arc, time::Duration};

use clap::Parser;
use pg::{Columns as _, Error, Pool};
use testkit::{Authority, Database, ServerCertificate, endpoints, wait_for};
use tls::Trust;
use tokio_postgres::{Client, NoTls};

use crate::chain;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    database: pg::Config,
}

fn connect(url: &str, trust: &Trust) -> Pool {
    let settings = Settings::parse_from(["test", "--database-url", url, "--database-pool-size", "2"]);
    pg::connect(&settings.database, trust, "tls-test").unwrap()
}

async fn superuser() -> Client {
    let postgres = &endpoints().postgres;
    let mut config = tokio_postgres::Config::new();
    config.host(&postgres.host).port(postgres.port).user(&postgres.user).password(&postgres.password);
    let (client, connection) = config.dbname("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Gives the server of this run a certificate; plaintext connections still work. The server reads a key only if other users cannot,
/// so it writes the files itself.
async fn serve(server: &ServerCertificate) {
    let client = superuser().await;
    let copy = |text: &str, file: &str| {
        format!(
            "COPY (SELECT unnest(string_to_array('{text}', E'\\n'))) TO PROGRAM 'umask 077 && cat >{file}'"
        )
    };
    for statement in [
        copy(&server.certificate, "test.crt"),
        copy(&server.key, "test.key"),
        "ALTER SYSTEM SET ssl_cert_file = 'test.crt'".to_owned(),
        "ALTER SYSTEM SET ssl_key_file = 'test.key'".to_owned(),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        client.batch_execute(&statement).await.unwrap();
    }
}

/// Whether the server speaks TLS with this authority yet: it takes a reload in its own time.
async fn wait_until_served(database: &Database, authority: &Authority) {
    wait_for("the server to take its certificate", Duration::from_secs(10), async || {
        let url = format!("{}?sslmode=require", database.url());
        let config = url.parse::<tokio_postgres::Config>().unwrap();
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(authority.trust().client_config());
        config.connect(tls).await.ok().map(drop)
    })
    .await;
}

async fn is_encrypted(pool: &Pool) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = pg::query_opt(pool, "is_encrypted", sql, &[]).await.unwrap().unwrap();
    row.column("ssl").unwrap()
}

#[tokio::test]
async fn sslmode_encrypts_and_verifies_and_a_failure_is_explained() {
    let database = Database::create("tls").await;
    let authority = Authority::new();
    serve(&authority.certificate("127.0.0.1")).await;
    wait_until_served(&database, &authority).await;

    let plain = connect(&database.url(), &authority.trust());
    pg::migrate(&plain, &[]).await.unwrap();
    assert!(!is_encrypted(&plain).await, "nothing leaves this machine");
    let pools = ["require", "verify-full", "prefer"]
        .map(|mode| connect(&format!("{}?sslmode={mode}", database.url()), &authority.trust()));
    for pool in &pools {
        pg::migrate(pool, &[]).await.unwrap();
        assert!(is_encrypted(pool).await);
    }

    // The server comes back with a certificate of another authority. Connections that are there go on.
    let other = Authority::new();
    serve(&other.certificate("127.0.0.1")).await;
    wait_until_served(&database, &other).await;
    for pool in &pools {
        let error = pool.dedicated(Arc::default()).await.err().unwrap();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(chain(&error).contains("TLS_EXTRA_CA_FILE"), "{}", chain(&error));
    }
}
