//! HTTPS, as the client of the schema registry speaks it.

use std::net::SocketAddr;

use events::{Config, Registry, RegistryError};
use testkit::{Authority, TlsProxy, endpoints};
use tls::Trust;

use crate::chain;

fn registry(at: SocketAddr, trust: &Trust) -> Registry {
    let mut url: reqwest::Url = endpoints().schema_registry_url.parse().unwrap();
    url.set_scheme("https").unwrap();
    url.set_ip_host(at.ip()).unwrap();
    url.set_port(Some(at.port())).unwrap();
    Registry::new(&Config { schema_registry_url: url }, trust)
}

async fn refused(at: SocketAddr, trust: &Trust) -> String {
    let error = registry(at, trust).ping().await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    chain(&error)
}

#[tokio::test]
async fn https_is_verified_and_a_failure_is_explained() {
    let upstream: reqwest::Url = endpoints().schema_registry_url.parse().unwrap();
    let plain = upstream.socket_addrs(|| None).unwrap()[0];
    let authority = Authority::new();
    let server = TlsProxy::start(plain.to_string(), &authority.certificate("127.0.0.1")).await;
    registry(server.addr(), &authority.trust()).ping().await.unwrap();

    let stranger = refused(server.addr(), &Authority::new().trust()).await;
    assert!(stranger.contains("TLS_EXTRA_CA_FILE"), "{stranger}");
    let of_the_system = refused(server.addr(), &Trust::load(&tls::Config::default()).unwrap()).await;
    assert!(of_the_system.contains("TLS_EXTRA_CA_FILE"), "{of_the_system}");

    let other = TlsProxy::start(plain.to_string(), &authority.certificate("registry.example")).await;
    let misnamed = refused(other.addr(), &authority.trust()).await;
    assert!(misnamed.contains("for another host"), "{misnamed}");

    let unencrypted = refused(plain, &authority.trust()).await;
    assert!(unencrypted.contains("does not speak TLS"), "{unencrypted}");
}

#[test]
fn a_file_without_authorities_is_named() {
    let directory = testkit::scratch_dir("authorities");
    let (empty, missing) = (directory.join("empty.crt"), directory.join("missing.crt"));
    std::fs::write(&empty, "no certificate\n").unwrap();
    for file in [empty, missing] {
        let error = Trust::load(&tls::Config { tls_extra_ca_file: vec![file.clone()] }).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(file.to_str().unwrap()) && said.contains("TLS_EXTRA_CA_FILE"), "{said}");
    }
}
