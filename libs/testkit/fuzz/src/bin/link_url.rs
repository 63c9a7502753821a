//! Targets of links: what is taken is what the database takes, and its normal form is taken again, unchanged.

#![no_main]

use std::{net::SocketAddr, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use url::Url;

// The service is a program, so there is no library to link: these are its own modules.
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/code.rs"]
mod code;
#[path = "../../../../../services/url-shortener/src/domain/host_name.rs"]
mod host_name;
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/public_url.rs"]
mod public_url;
#[expect(dead_code, reason = "only the check of targets is called")]
#[path = "../../../../../services/url-shortener/src/domain/target.rs"]
mod target;

use code::Code;
use public_url::PublicUrl;
use target::{InvalidTarget, Target};

static HOME: LazyLock<PublicUrl> = LazyLock::new(|| "https://s.example".parse().expect("an origin"));

const BOUND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7401);

fn parse(text: &str) -> Result<Target, InvalidTarget> {
    text.parse::<Target>()?.away_from(&HOME, BOUND)
}

fuzz_target!(|text: &str| {
    let Ok(target) = parse(text) else { return };
    let kept = target.as_str();
    assert!(kept.is_ascii() && kept.len() <= 2048, "the column does not hold this");
    let url = Url::parse(kept).expect("what is kept is a URL");
    assert!(matches!(url.scheme(), "http" | "https"), "scheme {}", url.scheme());
    assert!(url.host().is_some(), "no host");
    assert!(url.username().is_empty() && url.password().is_none(), "credentials");
    assert_ne!(url.host_str(), Some("s.example"), "it leads home");
    let again = parse(kept).expect("its normal form is refused");
    assert_eq!(again.as_str(), kept, "the normal form changes when it is taken again");
});
