//! Makes what a run needs before its first request: links to follow and orders to read.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use uuid::Uuid;

use super::orders::is_worth_another_try;
use super::{LINKS, Link, ORDERS, Shop, pause_after, uri};
use crate::connections::{Answer, Connections, Request};
use crate::scenario::Prepare;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// How often each is sent at most.
const TRIES: u32 = 10;

/// Puts the links and places the orders; all of it is part of what clients were told.
pub async fn prepare(shop: &mut Shop, wanted: Prepare, servers: &[Connections]) -> anyhow::Result<()> {
    let run = Uuid::new_v4().simple().to_string();
    let new = (0..wanted.links).map(|number| {
        let code = format!("load-{}-{number}", run.get(..12).unwrap_or_default());
        let target = format!("https://example.com/{run}/{number}");
        (code, target)
    });
    let new: Vec<(String, String)> = new.collect();
    let authorization = &shop.authorization;
    let puts = stream::iter(&new).map(async |(code, target)| {
        put_link(&servers[LINKS], code, target, authorization).await.context("a link could not be put")
    });
    puts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    for (code, target) in new {
        shop.links.push(Link { uri: uri(&format!("/{code}")), target: target.clone() });
        shop.told.links.insert(code, target);
    }

    let keys: Vec<Uuid> = (0..wanted.orders).map(|_| shop.new_order(Instant::now(), false)).collect();
    let requests: Vec<_> = keys.iter().map(|key| (*key, shop.placing(*key))).collect();
    let answers =
        stream::iter(requests).map(async |(key, request)| (key, insist(&servers[ORDERS], request).await));
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    for (key, answer) in answers {
        let answer = answer.context("an order could not be placed")?;
        ensure!(answer.status == StatusCode::ACCEPTED, "POST /v1/orders answers {}", said(&answer));
        shop.judge_order(key, &Ok(answer), 1, 0);
    }
    Ok(())
}

async fn put_link(
    links: &Connections,
    code: &str,
    target: &str,
    authorization: &HeaderValue,
) -> anyhow::Result<()> {
    let body = serde_json::json!({ "target": target }).to_string();
    let request = hyper::Request::put(format!("/v1/links/{code}"))
        .header(AUTHORIZATION, authorization.clone())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let answer = insist(links, request).await?;
    ensure!(answer.status.is_success(), "PUT of a link answers {}", said(&answer));
    Ok(())
}

/// Sends a request, which may be repeated, until its answer settles it: a system that has just started, or sheds load, is
/// given time.
async fn insist(server: &Connections, request: Request) -> anyhow::Result<Answer> {
    let mut n_tries = 1;
    loop {
        let answer = server.send(request.clone(), Instant::now()).await;
        let settles = answer.as_ref().is_ok_and(|answer| !is_worth_another_try(answer.status));
        if settles || n_tries == TRIES {
            return answer.map_err(|failure| anyhow::anyhow!("{}", failure.label()));
        }
        tokio::time::sleep(pause_after(n_tries, &answer)).await;
        n_tries += 1;
    }
}

fn said(answer: &Answer) -> String {
    format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}
