//! One order from the client's POST to the mail, the tracking page and the trace.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use loadtest::reconcile::State;
use tokio::time::Instant;

use super::mail::{Mail, mails_to};
use super::page::visible_text;
use super::shop::{Order, Placement};
use super::trace::{self, Span};
use super::{SCOPES, Scene, fresh_address};
use crate::console::{print, print_indented};
use crate::readiness::{http_client, until_ok};

/// How long each thing may take to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the same number of spans means that no more are coming: exporters send every second.
const QUIET_ROUNDS: u32 = 20;

/// The services that a confirmed order passes through.
const SERVICES: [&str; 3] = ["orders", "email-consumer", "url-shortener"];

/// Tells the story; fails at the first claim that does not hold.
pub(crate) async fn walkthrough(scene: &Scene) -> anyhow::Result<()> {
    let parent = trace::Parent::random();
    let customer = fresh_address("ada");
    let lines = [(scene.skus()[0].as_str(), 2), (scene.skus()[1].as_str(), 1)];
    let placement =
        Placement { traceparent: Some(parent.traceparent()), ..Placement::new(&customer, &lines) };

    let (order, first_answer) = place(scene, &placement).await?;
    follow(scene, &order).await?;
    replay(scene, &placement, &first_answer).await?;
    let mail = read_mail(scene, &order, &customer).await?;
    let page = follow_link(scene, &mail, &order).await?;
    show_trace(scene, &parent.trace_id).await?;
    show_where_to_look_next(scene, &parent.trace_id, &page);
    Ok(())
}

async fn place(scene: &Scene, placement: &Placement) -> anyhow::Result<(Order, String)> {
    let scopes = SCOPES.map(|scope| format!("--scope {scope}")).join(" ");
    print("1. Place an order\n");
    let tenant = &scene.doors.target.tenant;
    print(format_args!("$ TOKEN=$(target/debug/muster token --tenant {tenant} {scopes})"));
    show_post(scene, placement);
    let answer = scene.shop.place(placement).await?;
    print(format_args!("HTTP {}\nLocation: {}\n{}", answer.status, answer.location, pretty(&answer.body)));
    ensure!(answer.status == 202, "the order was not accepted");
    let order = answer.order()?;
    let location = format!("/v1/orders/{}", order.id);
    ensure!(answer.location.ends_with(&location), "Location does not lead to {location}");
    ensure!(order.state == State::Pending, "a new order is {}, not pending", order.state);
    Ok((order, answer.body))
}

async fn follow(scene: &Scene, order: &Order) -> anyhow::Result<()> {
    print("\n2. Follow it\n");
    print(format_args!(
        "$ curl {}/v2/orders/{} -H \"Authorization: Bearer $TOKEN\"",
        scene.shop.url, order.id
    ));
    let begun = Instant::now();
    let found = until_ok(PATIENCE, async || {
        let found = scene.shop.find(order.id).await?;
        ensure!(found.state.is_final(), "the order is still {}", found.state);
        Ok(found)
    })
    .await?;
    print(format_args!("{} after {} ms", found.state, begun.elapsed().as_millis()));
    if found.state != State::Confirmed {
        bail!("the order is {}: {}", found.state, found.rejection_reason.unwrap_or_default());
    }
    Ok(())
}

async fn replay(scene: &Scene, placement: &Placement, first_answer: &str) -> anyhow::Result<()> {
    print("\n3. Send the same request again, as a client does that saw no answer\n");
    let again = Placement { traceparent: None, ..placement.clone() };
    show_post(scene, &again);
    let answer = scene.shop.place(&again).await?;
    print(format_args!("HTTP {}\nIdempotent-Replayed: {}", answer.status, answer.is_replay));
    ensure!(answer.status == 202, "the replay was not answered like the first request");
    ensure!(answer.is_replay, "the answer does not say that it is a replay");
    ensure!(answer.body == first_answer, "the replay has another body:\n{}", pretty(&answer.body));
    print("The body is the same to the byte; no second order was made.");
    Ok(())
}

async fn read_mail(scene: &Scene, order: &Order, customer: &str) -> anyhow::Result<Mail> {
    print("\n4. Read the mail that arrived\n");
    let mailbox_url = &scene.doors.mailbox_url;
    print(format_args!("$ curl {mailbox_url}/api/user/{customer}/messages"));
    let mails = until_ok(PATIENCE, async || {
        let mails = mails_to(customer, mailbox_url).await?;
        ensure!(!mails.is_empty(), "no mail has arrived");
        Ok(mails)
    })
    .await?;
    let n_mails = mails.len();
    let mail = mails.into_iter().next().context("no mail has arrived")?;
    let Mail { from, to, subject, message_id, text, .. } = &mail;
    print(format_args!("From: {from}\nTo: {to}\nSubject: {subject}\nMessage-ID: {message_id}\n"));
    print_indented(text.lines());
    ensure!(n_mails == 1, "{n_mails} mails arrived instead of one");
    let expected = format!("<order-{}-confirmed@", order.id);
    ensure!(message_id.starts_with(&expected), "the Message-ID does not begin with {expected}");
    ensure!(mail.has_html, "the mail has no HTML part");
    Ok(mail)
}

/// Returns the address of the tracking page.
async fn follow_link(scene: &Scene, mail: &Mail, order: &Order) -> anyhow::Result<String> {
    print("\n5. Follow its short link to the tracking page\n");
    let links_url = format!("{}/", scene.doors.links_public_url);
    let link = mail.link(&links_url).with_context(|| format!("no link to {links_url} in the mail"))?;
    print(format_args!("$ curl -i {link}"));
    let link = scene.doors.way_to(link);
    let redirect = http_client().get(link).send().await.context("the short link: no answer")?;
    let target = redirect.headers().get("location").and_then(|value| value.to_str().ok());
    let target = target.unwrap_or_default().to_owned();
    print(format_args!("HTTP {}\nLocation: {target}\n", redirect.status()));
    ensure!(redirect.status() == 302, "the short link does not redirect");
    let pages = format!("{}/track/", scene.doors.orders_public_url);
    ensure!(target.starts_with(&pages), "the short link does not lead to {pages}");

    print("$ curl -L, as a person reads it:\n");
    let page = http_client()
        .get(scene.doors.way_to(&target))
        .send()
        .await
        .context("the tracking page: no answer")?;
    let status = page.status();
    let text = visible_text(&page.text().await.context("the tracking page broke off")?);
    print_indented(&text);
    ensure!(status == 200, "the tracking page answers {status}");
    let text = text.join("\n").to_lowercase();
    ensure!(text.contains("confirmed"), "the tracking page does not show that the order is confirmed");
    ensure!(text.contains(&order.id.to_string()), "the tracking page does not show the order's number");
    Ok(target)
}

async fn show_trace(scene: &Scene, trace_id: &str) -> anyhow::Result<()> {
    print("\n6. See what happened, as one trace\n");
    let spans = complete_trace(trace_id, &scene.doors.zipkin_url).await?;
    print(trace::tree(&spans).join("\n"));
    let seen = trace::services(&spans);
    for service in SERVICES {
        ensure!(seen.contains(service), "the trace {trace_id} has no span of {service}");
    }
    Ok(())
}

/// Waits until every service has reported and nothing more comes.
async fn complete_trace(trace_id: &str, zipkin_url: &str) -> anyhow::Result<Vec<Span>> {
    let mut n_spans = 0;
    let mut quiet_rounds = 0;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let spans = trace::fetch(trace_id, zipkin_url).await?;
        quiet_rounds = if spans.len() == n_spans { quiet_rounds + 1 } else { 0 };
        n_spans = spans.len();
        let seen = trace::services(&spans);
        if quiet_rounds >= QUIET_ROUNDS && SERVICES.iter().all(|service| seen.contains(service)) {
            return Ok(spans);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let spans = trace::fetch(trace_id, zipkin_url).await?;
    let seen = trace::services(&spans);
    Err(anyhow!("the trace {trace_id} is not complete: spans of {seen:?} only, of {SERVICES:?} expected"))
}

fn show_where_to_look_next(scene: &Scene, trace_id: &str, page: &str) {
    let zipkin = &scene.doors.zipkin_url;
    print("\nWhere to look next\n");
    print(format_args!("  tracking page   {page}"));
    print(format_args!("  this trace      {zipkin}/zipkin/traces/{trace_id}"));
    print(format_args!("  all traces      {zipkin}/zipkin/"));
    print(format_args!("  metrics         {}/classic/graph", scene.doors.prometheus_url));
    print(format_args!("  mailbox         {}", scene.doors.mailbox_url));
}

fn show_post(scene: &Scene, placement: &Placement) {
    let Placement { idempotency_key, traceparent, body } = placement;
    print(format_args!("$ curl -i {}/v1/orders -H \"Authorization: Bearer $TOKEN\" \\", scene.shop.url));
    print(format_args!("    -H 'Idempotency-Key: {idempotency_key}' \\"));
    if let Some(traceparent) = traceparent {
        print(format_args!("    -H 'traceparent: {traceparent}' \\"));
    }
    print(format_args!("    -H 'Content-Type: application/json' -d '{body}'"));
}

fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json);
    value.ok().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}
