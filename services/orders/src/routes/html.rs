//! Pages for people, with the headers that every page has.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY,
            PERMISSIONS_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
};
use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The inline style of the pages. The content security policy allows only this text.
pub(super) const STYLE: &str = include_str!("../../templates/page.css");

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE)));

/// The pages need no features of the device.
const PERMISSIONS: &str =
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()";

/// Whether a page has a form, which it may send to this service only.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    None,
    ToSelf,
}

impl Form {
    /// Returns the source list of `form-action`.
    fn action(self) -> &'static str {
        match self {
            Self::None => "'none'",
            Self::ToSelf => "'self'",
        }
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message {
    pub(super) headline: &'static str,
    pub(super) explanation: &'static str,
}

pub(super) fn page(form: Form, status: StatusCode, template: &impl Template) -> HttpResponse {
    let html = template.render().expect("the templates have no failing parts");
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy(form)))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((PERMISSIONS_POLICY, PERMISSIONS))
        .insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header(("X-Robots-Tag", "noindex"))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .body(html)
}

fn policy(form: Form) -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action {}; frame-ancestors 'none'",
        *STYLE_HASH,
        form.action()
    )
}
