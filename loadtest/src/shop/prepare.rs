//! Creates what a run needs before its first request: links to follow and orders to read.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::{LINKS, ORDERS, Shop, backoff, orders::is_retryable};
use crate::{
    connections::{Answer, Connections, Failure, Request},
    scenario::Prepare,
};

/// Concurrent requests.
const CONCURRENCY: usize = 8;

/// Tries per request.
const MAX_TRIES: u32 = 10;

/// Puts the links and places the orders. They become part of the client log.
pub async fn prepare(shop: &mut Shop, prepare: Prepare, servers: &[Connections]) -> anyhow::Result<()> {
    let run = Uuid::new_v4().simple().to_string();
    let code = |number| format!("load-{}-{number}", run.get(..12).unwrap_or_default());
    let link = |number| (code(number), format!("https://example.com/{run}/{number}"));
    let links: Vec<(String, String)> = (0..prepare.links).map(link).collect();
    let puts = links.iter().map(|(code, target)| shop.api.put_link(code, target));
    let puts = stream::iter(puts.collect::<Vec<_>>()).map(async |put| {
        let answer = send_with_retries(&servers[LINKS], put).await.context("PUT of a link")?;
        // 200 after a retry whose first request created the link.
        ensure!(
            answer.status.is_success(),
            "PUT of a link: HTTP {}: {}",
            answer.status.as_u16(),
            answer.excerpt()
        );
        Ok(())
    });
    puts.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    for (code, target) in links {
        shop.add_link(code, target)?;
    }

    let keys: Vec<Uuid> = (0..prepare.orders).map(|_| shop.new_order(Instant::now(), false)).collect();
    let requests: Vec<_> = keys.iter().map(|key| (*key, shop.order_request(*key))).collect();
    let answers = stream::iter(requests).map(async |(key, request)| {
        let answer = send_with_retries(&servers[ORDERS], request).await.context("POST /v1/orders")?;
        anyhow::Ok((key, answer.expect(202).context("POST /v1/orders")?))
    });
    let answers: Vec<_> = answers.buffer_unordered(CONCURRENCY).try_collect().await?;
    for (key, answer) in answers {
        shop.judge_order(key, &Ok(answer), 1, 0);
    }
    Ok(())
}

/// Retries a request until its answer is final: a system that has just started, or sheds load, gets time.
async fn send_with_retries(server: &Connections, request: Request) -> Result<Answer, Failure> {
    let mut n_tries = 1;
    loop {
        let answer = server.send(request.clone(), Instant::now()).await;
        let is_final = answer.as_ref().is_ok_and(|answer| !is_retryable(answer.status));
        if is_final || n_tries == MAX_TRIES {
            return answer;
        }
        tokio::time::sleep(backoff(n_tries, &answer)).await;
        n_tries += 1;
    }
}
