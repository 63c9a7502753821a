//! Fuzzes the targets of links: an accepted target fits the database, and its normalized form is accepted again, unchanged.

#![no_main]

use std::{net::SocketAddr, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use url::Url;

// The service is a program without a library, so its modules are included here.
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/code.rs"]
mod code;
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/host.rs"]
mod host;
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/public_url.rs"]
mod public_url;
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/target.rs"]
mod target;

use code::Code;
use public_url::PublicUrl;
use target::{InvalidTarget, Target, TargetUrl};

static PUBLIC_URL: LazyLock<PublicUrl> = LazyLock::new(|| "https://s.example".parse().expect("an origin"));

const LISTEN_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7401);

fn parse(text: &str) -> Result<Target, InvalidTarget> {
    text.parse::<TargetUrl>()?.into_target(&PUBLIC_URL, LISTEN_ADDR)
}

fuzz_target!(|text: &str| {
    let Ok(target) = parse(text) else { return };
    let kept = target.as_str();
    assert!(kept.is_ascii() && kept.len() <= 2048, "the column does not accept this");
    let url = Url::parse(kept).expect("the target is a URL");
    assert!(matches!(url.scheme(), "http" | "https"), "scheme {}", url.scheme());
    assert!(url.host().is_some(), "no host");
    assert!(url.username().is_empty() && url.password().is_none(), "credentials");
    assert_ne!(url.host_str(), Some("s.example"), "it points to the service");
    let again = parse(kept).expect("the normalized form is refused");
    assert_eq!(again.as_str(), kept, "normalizing again changes the target");
});
