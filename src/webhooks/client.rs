//! One request to a receiver: bounded in time and in what is read, sent nowhere but where it points.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Response};

use super::backoff::retry_after;
use super::resolver::DnsResolver;
use super::secret::Secret;
use super::target::{self, Reach};

/// Of the body of an answer, which means nothing here, so much is read: a receiver that is cut off while
/// it still writes may take that for a failure.
const READ: usize = 4096;
const READ_FOR: Duration = Duration::from_secs(1);
/// The error of a delivery is a line in a list.
const LONGEST_ERROR: usize = 300;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub connect: Duration,
    /// From the look-up of the name to the status of the answer.
    pub whole: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(15),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// Nothing did, and why.
    None(String),
}

/// A message as it goes out.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub url: &'a str,
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    pub body: &'a str,
    pub secret: &'a Secret,
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    pub fn new(reach: Reach, times: Times) -> Result<Self, reqwest::Error> {
        // Fails if there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder(reach, times).build().or_else(|error| {
            // A machine without any certificates can still send where no TLS is asked for.
            tracing::warn!(%error, "no root certificates: webhooks cannot be sent over https");
            builder(reach, times).tls_certs_only([]).build()
        })?;
        Ok(Self { http, reach })
    }

    /// Sends a message once.
    pub async fn post(&self, message: Message<'_>) -> Answer {
        // The resolver never sees a host that is an address, and the flag may have been taken back since
        // the webhook was made.
        let url = match target::check(message.url, self.reach) {
            Ok(url) => url,
            Err(error) => return Answer::None(format!("url: {error}")),
        };
        let signature = message
            .secret
            .sign(message.id, message.timestamp, message.body);
        let sent = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", signature)
            .body(message.body.to_owned())
            .send()
            .await;
        match sent {
            Ok(response) => {
                let answer = Answer::Status {
                    status: response.status().as_u16(),
                    retry_after: wanted_wait(&response, message.timestamp),
                };
                let _ = tokio::time::timeout(READ_FOR, read_some(response)).await;
                answer
            }
            Err(error) => Answer::None(said(error)),
        }
    }
}

fn builder(reach: Reach, times: Times) -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("latentd/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(DnsResolver { reach })
        // A proxy would connect in our place, to whatever address it likes.
        .no_proxy()
        // A redirect would have to be checked like a URL, and a signed message belongs to one receiver.
        .redirect(Policy::none())
        .connect_timeout(times.connect)
        .timeout(times.whole)
        // Each connection is made to an address that was checked for it.
        .pool_max_idle_per_host(0)
}

fn wanted_wait(response: &Response, now: i64) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(value, now)
}

async fn read_some(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read >= READ {
            break;
        }
    }
}

/// What failed, and its innermost cause; what lies between names parts of this program.
fn said(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return match error.is_connect() {
            true => "timed out: no connection within the time there is for one",
            false => "timed out: no answer within the time there is for one",
        }
        .to_owned();
    }
    let what = match error.is_connect() {
        true => "could not connect",
        false => "could not send, or read the answer",
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = format!("{what}: {cause}");
    text.chars().take(LONGEST_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const TIMES: Times = Times {
        connect: Duration::from_secs(5),
        whole: Duration::from_millis(500),
    };

    /// A receiver that answers every connection with these bytes, then keeps it open.
    async fn receiver(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                open.push(stream);
            }
        });
        port
    }

    async fn post(reach: Reach, url: &str) -> Answer {
        let client = Client::new(reach, TIMES).expect("a client");
        let secret = Secret::fresh().expect("chance");
        let message = Message {
            url,
            id: "msg_1",
            timestamp: 1_700_000_000,
            body: "{}",
            secret: &secret,
        };
        client.post(message).await
    }

    #[tokio::test]
    async fn what_a_receiver_may_do_to_us_is_bounded() {
        let silent = receiver("").await;
        let answer = post(Reach::Anywhere, &format!("http://127.0.0.1:{silent}/")).await;
        assert!(
            matches!(&answer, Answer::None(error) if error.contains("timed out: no answer")),
            "{answer:?}"
        );
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = closed.local_addr().expect("an address").port();
        drop(closed);
        let answer = post(Reach::Anywhere, &format!("http://127.0.0.1:{port}/")).await;
        let refused = "could not connect: Connection refused (os error 111)";
        assert_eq!(answer, Answer::None(refused.to_owned()));
        // Its body never ends, and is not waited for.
        let endless = receiver("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\nxxxx").await;
        let answer = post(Reach::Anywhere, &format!("http://127.0.0.1:{endless}/")).await;
        let ok = Answer::Status {
            status: 200,
            retry_after: None,
        };
        assert_eq!(answer, ok);
        // A redirect is an answer like another; to follow this one would end in an error.
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nretry-after: 7\r\n\
                         content-length: 0\r\n\r\n";
        let redirect = receiver(elsewhere).await;
        let answer = post(Reach::Anywhere, &format!("http://127.0.0.1:{redirect}/")).await;
        let found = Answer::Status {
            status: 302,
            retry_after: Some(Duration::from_secs(7)),
        };
        assert_eq!(answer, found);
    }

    #[tokio::test]
    async fn nothing_in_here_is_connected_to_by_address_or_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answer = post(Reach::Public, &format!("http://127.0.0.1:{port}/")).await;
        assert!(
            matches!(&answer, Answer::None(error) if error.contains("private network")),
            "{answer:?}"
        );
        // Past the check of the URL, the resolver sees what a name comes to.
        let resolver = DnsResolver {
            reach: Reach::Public,
        };
        let http = reqwest::Client::builder()
            .dns_resolver(resolver)
            .no_proxy()
            .build()
            .expect("a client");
        let sent = http
            .post(format!("http://localhost:{port}/"))
            .send()
            .await
            .expect_err("no address is left");
        let text = said(sent);
        assert!(text.contains("private network"), "{text}");
        let connected = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(connected.is_err(), "somebody connected");
    }
}
