//! One order from the client's POST to the mail, the tracking page and the trace.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use loadtest::{
    api::{Api, order_body},
    connections::{Answer, Connections, Limits, Request, get},
    mailbox::{Mail, Mailbox},
    reconcile::{Line, Order, State},
    traces::{Span, Zipkin, services},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Product, new_address,
    render::{tree, visible_text},
};
use crate::{
    console::{print, print_indented},
    readiness::until_ok,
};

const STEP_TIMEOUT: Duration = Duration::from_secs(30);
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// After this time without a new span a trace is complete: services export spans once a second.
const TRACE_QUIET: Duration = Duration::from_secs(2);

/// The services in the trace of a confirmed order.
const SERVICES: [&str; 3] = ["orders", "email-consumer", "url-shortener"];

/// Shows each step; fails at the first unexpected result.
pub(super) async fn walkthrough(product: &Product) -> anyhow::Result<()> {
    let demo = Demo::new(product)?;
    let (order, body) = demo.place().await?;
    demo.follow(order).await?;
    demo.replay(&body).await?;
    let mail = demo.read_mail(order).await?;
    let page = demo.follow_link(&mail, order).await?;
    demo.show_trace().await?;
    demo.show_where_to_look_next(&page);
    Ok(())
}

/// A client, and the order that it places.
struct Demo<'a> {
    product: &'a Product,
    orders: Connections,
    api: Api,
    key: Uuid,
    customer: String,
    lines: [Line; 2],
    trace_id: String,
    span_id: String,
}

impl<'a> Demo<'a> {
    fn new(product: &'a Product) -> anyhow::Result<Self> {
        let line = |product: &str, quantity| Line { sku: product.to_owned(), quantity };
        let skus = &product.target.skus;
        Ok(Self {
            product,
            orders: Connections::new(&product.target.orders_url, Limits::FEW)?,
            api: product.target.api(TOKEN_LIFETIME).context("the token of the demonstration")?,
            key: Uuid::new_v4(),
            customer: new_address("ada"),
            lines: [line(&skus[0], 2), line(&skus[1], 1)],
            trace_id: hex::encode(rand::random::<[u8; 16]>()),
            span_id: hex::encode(rand::random::<[u8; 8]>()),
        })
    }

    /// Returns the number of the order and the body of the answer.
    async fn place(&self) -> anyhow::Result<(Uuid, String)> {
        print("1. Place an order\n");
        let token =
            format!("token --tenant {} --scope orders:write --scope orders:read", self.product.target.tenant);
        print(format_args!("$ TOKEN=$(target/debug/muster {token})"));
        // W3C Trace Context: the client's span is the parent of the trace's first span.
        let traceparent = format!("00-{}-{}-01", self.trace_id, self.span_id);
        self.show_post(Some(&traceparent));
        let mut request = self.order_request();
        request.headers_mut().insert("traceparent", traceparent.parse()?);
        let answer = self.orders.call(request).await?;
        let (body, location) = (text(&answer), answer.header("location"));
        print(format_args!("HTTP {}\nLocation: {location}\n{}", answer.status, pretty(&body)));
        ensure!(answer.status == 202, "the order was not accepted");
        let Order { id, state, .. } = answer.json()?;
        let expected = format!("/v1/orders/{id}");
        ensure!(location.ends_with(&expected), "Location does not end with {expected}");
        ensure!(state == State::Pending, "a new order is {state}, not pending");
        Ok((id, body))
    }

    async fn follow(&self, id: Uuid) -> anyhow::Result<()> {
        print("\n2. Follow it\n");
        let path = format!("/v2/orders/{id}");
        let url = &self.product.target.orders_url;
        print(format_args!("$ curl {url}{path} -H \"Authorization: Bearer $TOKEN\""));
        let begun = Instant::now();
        let order = until_ok(STEP_TIMEOUT, async || {
            let order: Order = self.orders.call(self.api.get(&path)?).await?.expect(200)?.json()?;
            ensure!(order.state.is_final(), "the order is still {}", order.state);
            Ok(order)
        })
        .await?;
        print(format_args!("{} after {} ms", order.state, begun.elapsed().as_millis()));
        if order.state != State::Confirmed {
            bail!("the order is {}: {}", order.state, order.rejection_reason.unwrap_or_default());
        }
        Ok(())
    }

    async fn replay(&self, first_body: &str) -> anyhow::Result<()> {
        print("\n3. Repeat the request, as a client does that received no answer\n");
        self.show_post(None);
        let answer = self.orders.call(self.order_request()).await?;
        let is_replay = answer.header("idempotent-replayed") == "true";
        print(format_args!("HTTP {}\nIdempotent-Replayed: {is_replay}", answer.status));
        ensure!(answer.status == 202, "the replay has another status than the first answer");
        ensure!(is_replay, "the answer has no header Idempotent-Replayed: true");
        let body = text(&answer);
        ensure!(body == first_body, "the replay has another body:\n{}", pretty(&body));
        print("The body is identical; no second order exists.");
        Ok(())
    }

    async fn read_mail(&self, order: Uuid) -> anyhow::Result<Mail> {
        print("\n4. Read the mail\n");
        let (url, customer) = (&self.product.mailbox_url, &self.customer);
        print(format_args!("$ curl {url}/api/user/{customer}/messages"));
        let mailbox = Mailbox::new(url)?;
        let mut mails = until_ok(STEP_TIMEOUT, async || {
            let mails = mailbox.mails_to(customer).await?;
            ensure!(!mails.is_empty(), "no mail has arrived");
            Ok(mails)
        })
        .await?;
        let n_mails = mails.len();
        let mail = mails.swap_remove(0);
        for name in ["From", "To", "Subject", "Message-ID"] {
            print(format_args!("{name}: {}", mail.header(name)));
        }
        print("");
        print_indented(mail.text().lines());
        ensure!(n_mails == 1, "{n_mails} mails arrived instead of one");
        let expected = format!("<order-{order}-confirmed@");
        ensure!(mail.message_id().starts_with(&expected), "the Message-ID does not start with {expected}");
        ensure!(!mail.html().is_empty(), "the mail has no HTML part");
        Ok(mail)
    }

    /// Returns the address of the tracking page.
    async fn follow_link(&self, mail: &Mail, order: Uuid) -> anyhow::Result<String> {
        print("\n5. Follow its short link to the tracking page\n");
        let links_url = format!("{}/", self.product.links_public_url);
        let link = mail.link(&links_url).with_context(|| format!("the mail has no link to {links_url}"))?;
        print(format_args!("$ curl -i {link}"));
        let redirect = self.get(link).await?;
        let target = redirect.header("location").to_owned();
        print(format_args!("HTTP {}\nLocation: {target}\n", redirect.status));
        ensure!(redirect.status == 302, "the short link does not redirect");
        let pages = format!("{}/track/", self.product.orders_public_url);
        ensure!(target.starts_with(&pages), "the short link does not lead to {pages}");

        print("$ curl -L, as text:\n");
        let lines = visible_text(&text(&self.get(&target).await?.expect(200)?));
        print_indented(&lines);
        let page = lines.join("\n").to_lowercase();
        ensure!(page.contains("confirmed"), "the tracking page does not show that the order is confirmed");
        ensure!(page.contains(&order.to_string()), "the tracking page does not show the order's number");
        Ok(target)
    }

    async fn show_trace(&self) -> anyhow::Result<()> {
        print("\n6. See the trace through all services\n");
        let zipkin = Zipkin::new(&self.product.zipkin_url)?;
        print(tree(&complete_trace(&zipkin, &self.trace_id).await?).join("\n"));
        Ok(())
    }

    fn show_where_to_look_next(&self, page: &str) {
        let Product { zipkin_url, prometheus_url, mailbox_url, .. } = self.product;
        print("\nWhere to look next\n");
        print(format_args!("  tracking page   {page}"));
        print(format_args!("  this trace      {zipkin_url}/zipkin/traces/{}", self.trace_id));
        print(format_args!("  all traces      {zipkin_url}/zipkin/"));
        print(format_args!("  metrics         {prometheus_url}/classic/graph"));
        print(format_args!("  mailbox         {mailbox_url}"));
    }

    fn show_post(&self, traceparent: Option<&str>) {
        let url = &self.product.target.orders_url;
        print(format_args!("$ curl -i {url}/v1/orders -H \"Authorization: Bearer $TOKEN\" \\"));
        print(format_args!("    -H 'Idempotency-Key: {}' \\", self.key));
        if let Some(traceparent) = traceparent {
            print(format_args!("    -H 'traceparent: {traceparent}' \\"));
        }
        let body = order_body(&self.customer, &self.lines);
        print(format_args!("    -H 'Content-Type: application/json' -d '{body}'"));
    }

    fn order_request(&self) -> Request {
        self.api.place_order(self.key, &self.customer, &self.lines)
    }

    /// Gets a public URL of the product.
    async fn get(&self, public_url: &str) -> anyhow::Result<Answer> {
        let url = self.product.service_url(public_url);
        let (server, path) = url.split_at(url.match_indices('/').nth(2).context("a URL without a path")?.0);
        Connections::new(server, Limits::FEW)?.call(get(path)?).await
    }
}

/// Waits until every service has reported spans and no new span arrives.
async fn complete_trace(zipkin: &Zipkin, trace_id: &str) -> anyhow::Result<Vec<Span>> {
    let (mut n_spans, mut changed_at) = (0, Instant::now());
    let end = Instant::now() + STEP_TIMEOUT;
    loop {
        let spans = zipkin.trace(trace_id).await?;
        if spans.len() != n_spans {
            (n_spans, changed_at) = (spans.len(), Instant::now());
        }
        let found = services(&spans);
        let is_complete = SERVICES.iter().all(|service| found.contains(service));
        if is_complete && changed_at.elapsed() >= TRACE_QUIET {
            return Ok(spans);
        }
        ensure!(
            Instant::now() < end,
            "the trace {trace_id} has spans of {found:?} only, not of {SERVICES:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json);
    value.ok().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}
